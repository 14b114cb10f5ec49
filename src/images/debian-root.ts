// What a Debian system on a disk is made of, and the scripts that make it: both run in a guest of ours, so the host needs no
// right and no tool but what fetches the packages.

/** Beside the packages of priority "required". */
export const DEBIAN_PACKAGES: readonly string[] = [
  "apt",
  // In place of usrmerge, which would move the directories of a running system.
  "usr-is-merged",
  "init",
  "udev",
  "dbus",
  "linux-image-686",
  "initramfs-tools",
  "grub-pc",
  "systemd-resolved",
  "iproute2",
  "iputils-ping",
  "kmod",
  "less",
  "nano",
  "procps",
  "pciutils",
];

/** What the guest that makes it has in its initramfs, beside busybox. */
export const BUILDER_PACKAGES: readonly string[] = ["dash", "debootstrap", "dpkg", "perl-base", "e2fsprogs", "fdisk"];
export const BUILDER_MODULES: readonly string[] = [
  "virtio_pci",
  "virtio_blk",
  "ext4",
  "vfat",
  "nls_cp437",
  "nls_ascii",
  "nls_utf8",
];

/** Begins a line of the builder that says what it does next; also what debootstrap's lines begin with. */
export const STEP_PREFIX = "paravane: step ";
export const BUILDER_PATH = "paravane/build-debian";

export interface DebianRootOptions {
  readonly suite: string;
  readonly architecture: string;
  /** All packages, their dependencies too. */
  readonly packages: readonly string[];
}

/**
 * The script of the builder guest: /dev/vda becomes the disk, /dev/vdb1 has the packages. debootstrap unpacks and configures,
 * then the system is told what it needs to know to boot on its own: file systems, boot loader, consoles, network.
 */
export const builderScript = ({ suite, architecture, packages }: DebianRootOptions): string => `#!/bin/dash
set -e
step() { echo "${STEP_PREFIX}$*"; }
root=/mnt

step "making the file system"
echo "start=2048, type=83, bootable" | sfdisk --quiet --label dos /dev/vda
# The journal comes last: until then a crash means beginning again, and each package would wait for it several times.
/sbin/mke2fs -q -t ext4 -O ^has_journal -L root /dev/vda1
mount -t ext4 -o noatime,discard /dev/vda1 $root
mkdir -p /packages
mount -t vfat -o ro /dev/vdb1 /packages

step "unpacking the base system"
debootstrap --foreign --no-check-gpg --variant=minbase --arch=${architecture} \
  --include=${packages.join(",")} ${suite} $root file:///packages

# What packages find when they are configured.
mkdir -p $root/etc/dpkg/dpkg.cfg.d $root/etc/initramfs-tools/conf.d
echo force-unsafe-io >$root/etc/dpkg/dpkg.cfg.d/paravane-build
cat >$root/etc/initramfs-tools/conf.d/paravane <<'END'
# The drivers that the root file system needs, as a disk on IDE and on virtio: a small initramfs is read and unpacked sooner.
MODULES=list
END
cat >$root/etc/initramfs-tools/modules <<'END'
ata_piix
sd_mod
virtio_pci
virtio_blk
ext4
END
uuid=$(/sbin/tune2fs -l /dev/vda1 | sed -n 's/^Filesystem UUID: *//p')
echo "UUID=$uuid / ext4 errors=remount-ro 0 1" >$root/etc/fstab
step "configuring"
chroot $root /debootstrap/debootstrap --second-stage

step "setting it up"
rm $root/etc/dpkg/dpkg.cfg.d/paravane-build
echo debian >$root/etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 debian\n::1 localhost ip6-localhost ip6-loopback\n' >$root/etc/hosts
cat >$root/etc/apt/sources.list <<'END'
deb http://deb.debian.org/debian ${suite} main
deb http://deb.debian.org/debian ${suite}-updates main
deb http://deb.debian.org/debian-security ${suite}-security main
END
cat >$root/etc/systemd/network/80-dhcp.network <<'END'
[Match]
Type=ether

[Network]
DHCP=yes
END
cat >$root/etc/default/grub <<'END'
GRUB_DEFAULT=0
GRUB_TIMEOUT=1
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200"
# On the screen, which SeaBIOS shows on COM1 too.
GRUB_TERMINAL=console
GRUB_DISABLE_OS_PROBER=true
END
# Each guest that starts from this disk gets an identity of its own.
: >$root/etc/machine-id
mount -t proc proc $root/proc
mount -t sysfs sys $root/sys
mount -t devtmpfs dev $root/dev
# There is no udev here: GRUB names the root by its UUID only where it finds the device by that name.
mkdir -p $root/dev/disk/by-uuid
ln -sf ../../vda1 $root/dev/disk/by-uuid/$uuid
# By its path: the chroot of busybox would run the applet of this name.
chroot $root /usr/bin/passwd --quiet --delete root
chroot $root systemctl --quiet enable systemd-networkd systemd-resolved
# Nothing works behind the user's back on a machine that is not theirs alone.
chroot $root systemctl --quiet disable apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer

step "installing the boot loader"
chroot $root grub-install --target=i386-pc /dev/vda
chroot $root update-grub

step "cleaning up"
ln -sf ../run/systemd/resolve/stub-resolv.conf $root/etc/resolv.conf
rm -rf $root/var/cache/apt/archives/*.deb $root/var/lib/apt/lists/* $root/var/log/bootstrap.log $root/debootstrap
rm -f $root/var/cache/debconf/*-old $root/var/lib/dpkg/*-old
umount $root/dev $root/sys $root/proc
sync
fstrim $root
umount $root
/sbin/tune2fs -j /dev/vda1
/sbin/e2fsck -fp /dev/vda1
step "done"
`;
