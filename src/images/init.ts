// The first user-space process of our Linux images: a busybox shell script, the /init of the initramfs.

/** The first line that init prints, before it does anything else: benchmarks and tests wait for it. */
export const INIT_BANNER = "paravane: init";

/** Printed, with the exit status, when the command of `paravane.run` or `paravane.script` ends. */
export const INIT_EXIT_PREFIX = "paravane: exit ";

/**
 * Kernel parameters that init understands (all optional):
 *
 *  paravane.run="COMMAND"   runs it with sh, prints "paravane: exit STATUS" and powers off
 *  paravane.script=PATH     the same for a script in the image
 *  paravane.modules=A,B     loads these kernel modules first (they must be in the image)
 *  paravane.net=HOW         network cards: dhcp (default), off, or an address such as 10.0.0.1/24 for the first of them
 *  paravane.root=DEVICE     mounts DEVICE (ext4, or paravane.rootfstype) and runs its /sbin/init, or the command in it
 *  paravane.end=ACTION      what happens at the end: poweroff (default), reboot, halt or shell
 *  paravane.port=NUMBER     writes the exit status as one byte to this I/O port at the end (0xf4: isa-debug-exit)
 */
export const INIT_SCRIPT = `#!/bin/sh
echo "${INIT_BANNER}"
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root TERM=\${TERM:-vt100}

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
if [ -d /dev/pts ] || mkdir /dev/pts; then mount -t devpts devpts /dev/pts 2>/dev/null; fi
if [ -d /dev/shm ] || mkdir /dev/shm; then mount -t tmpfs shm /dev/shm 2>/dev/null; fi
hostname paravane
ip link set lo up 2>/dev/null

# The value of a kernel parameter, quoted as the kernel allows: name="a b" or "name=a b".
parameter() {
  line=" $(cat /proc/cmdline) "
  case "$line" in
    *" $1=\\""*) line="\${line#*" $1=\\""}"; echo "\${line%%\\"*}" ;;
    *" \\"$1="*) line="\${line#*" \\"$1="}"; echo "\${line%%\\"*}" ;;
    *" $1="*) line="\${line#*" $1="}"; echo "\${line%% *}" ;;
  esac
}

# Ends the machine. One without a way to power off halts its CPU, which the monitor also takes for an end.
finish() {
  port="$(parameter paravane.port)"
  sync
  if [ -n "$port" ]; then
    printf "\\\\$(printf %03o "$1")" | dd of=/dev/port bs=1 seek="$((port))" 2>/dev/null
  fi
  case "\${2:-$(parameter paravane.end)}" in
    reboot) reboot -f ;;
    halt) halt -f ;;
    shell) return ;;
    *) poweroff -f ;;
  esac
  # The request is carried out by the kernel while init waits; init itself must never return.
  while :; do sleep 1000; done
}

run() {
  "$@"
  status=$?
  echo "${INIT_EXIT_PREFIX}$status"
  finish "$status"
}

for file in /etc/paravane/modules; do
  [ -f "$file" ] && while read -r module; do modprobe "$module"; done <"$file"
done
for module in $(parameter paravane.modules | tr , ' '); do modprobe "$module"; done

# Drivers of the network cards that there are, and an address for each.
found=
for device in /sys/bus/pci/devices/*; do
  [ -f "$device/class" ] || continue
  read -r class <"$device/class"
  read -r vendor <"$device/vendor"
  read -r id <"$device/device"
  case "$class $vendor:$id" in
    "0x020000 0x1af4:0x1000" | "0x020000 0x1af4:0x1041") modprobe -q virtio_pci && modprobe -q virtio_net && found=yes ;;
    "0x020000 0x10ec:0x8139") modprobe -q 8139cp && modprobe -q 8139too && found=yes ;;
  esac
done
network="$(parameter paravane.net)"
if [ -n "$found" ] && [ "$network" != off ]; then
  modprobe -q af_packet
  for card in /sys/class/net/*; do
    card="\${card##*/}"
    [ "$card" = lo ] && continue
    ip link set "$card" up
    case "$network" in
      "" | dhcp) udhcpc -i "$card" -b -t 3 -T 2 -s /etc/udhcpc.script >/dev/null 2>&1 ;;
      *) ip addr add "$network" dev "$card"; break ;;
    esac
  done
fi

root="$(parameter paravane.root)"
if [ -n "$root" ]; then
  fstype="$(parameter paravane.rootfstype)"
  # Disks appear a moment after their driver is loaded.
  attempt=0
  while [ ! -e "$root" ] && [ "$attempt" -lt 50 ]; do sleep 0.2; attempt=$((attempt + 1)); done
  if mount -t "\${fstype:-ext4}" "$root" /mnt; then
    mount --move /dev /mnt/dev; mount --move /proc /mnt/proc; mount --move /sys /mnt/sys
    exec switch_root /mnt /sbin/init
  fi
  echo "paravane: cannot mount $root as \${fstype:-ext4}; a shell follows"
fi

cd /root
command="$(parameter paravane.run)"
script="$(parameter paravane.script)"
if [ -n "$command" ]; then run sh -c "$command"; fi
if [ -n "$script" ]; then run sh "$script"; fi

# A session of its own on the real console device gives the shell job control and Ctrl-C.
setsid cttyhack sh -l
end="$(parameter paravane.end)"
if [ "$end" = shell ]; then end=poweroff; fi
finish 0 "$end"
`;

/** Loads what the devices of the machine need but for network cards, once each, and the file systems of disks. */
const DEVICE_DRIVERS = `# Drivers of the other devices that there are. Loading one waits until its disks are there.
disks=
for device in /sys/bus/pci/devices/*; do
  [ -f "$device/class" ] || continue
  read -r class <"$device/class"
  read -r vendor <"$device/vendor"
  read -r id <"$device/device"
  case "$class $vendor:$id" in
    0x0101*) modprobe -q -a ata_piix sd_mod sr_mod; disks=yes ;;
    *" 0x1af4:0x1042") modprobe -q -a virtio_pci virtio_blk; disks=yes ;;
    *" 0x1af4:0x1043") modprobe -q -a virtio_pci virtio_console ;;
    *" 0x1af4:0x1044") modprobe -q -a virtio_pci virtio_rng ;;
    *" 0x1af4:0x1045") modprobe -q -a virtio_pci virtio_balloon ;;
    *" 0x1af4:0x1049") modprobe -q -a virtio_pci 9pnet_virtio 9p ;;
    *" 0x1af4:0x1053") modprobe -q -a virtio_pci vmw_vsock_virtio_transport ;;
  esac
done
[ -n "$disks" ] && modprobe -q -a ext4 vfat isofs nls_cp437 nls_ascii nls_utf8
`;

const BEFORE_NETWORK = "# Drivers of the network cards that there are";

/** For images that have the modules of DEVICE_MODULES. */
export const DEVICE_INIT_SCRIPT = INIT_SCRIPT.replace(BEFORE_NETWORK, () => `${DEVICE_DRIVERS}\n${BEFORE_NETWORK}`);

/** Disks, CDs and what is on them, and virtio but for network cards. */
export const DEVICE_MODULES: readonly string[] = [
  ...["ata_piix", "sd_mod", "sr_mod", "ext4", "vfat", "isofs", "nls_cp437", "nls_ascii", "nls_utf8"],
  ...["virtio_pci", "virtio_blk", "virtio_console", "virtio_rng", "virtio_balloon", "9pnet_virtio", "9p"],
  "vmw_vsock_virtio_transport",
];

/** What udhcpc calls with what it was given. */
export const DHCP_SCRIPT = `#!/bin/sh
case "$1" in
  deconfig)
    ip addr flush dev "$interface"
    ip link set "$interface" up
    ;;
  bound | renew)
    ip addr flush dev "$interface"
    ip addr add "$ip/$mask" broadcast "\${broadcast:-+}" dev "$interface"
    for gateway in $router; do
      ip route add default via "$gateway" dev "$interface"
      break
    done
    {
      [ -n "$domain" ] && echo "search $domain"
      for server in $dns; do echo "nameserver $server"; done
    } >/etc/resolv.conf
    [ -n "$hostname" ] && hostname "$hostname"
    ;;
esac
`;

/** What the login shell reads. */
export const PROFILE = `PS1='\\w # '
export PS1
alias ll='ls -l'
`;
