// The settings of a user network, checked and with defaults filled in.
import { flag, integer, oneOf, refuse, text } from "../../../vmm/check-values.ts";
import type { PortForward, UserNetworkSettings } from "../../../vmm/network.ts";
import { formatIpv4, type Ipv4Net, inNet, maskOf, parseIpv4, parseNet } from "../ipv4-address.ts";
import { parseRule } from "./destinations.ts";

const DEFAULT_NET = "10.0.2.0/24";
const HOST_OFFSET = 2;
const DNS_OFFSET = 3;
const FILES_OFFSET = 4;
const DHCP_OFFSET = 15;
/** Nets of 8 to 65,536 addresses; smaller ones have no room for gateway, name server and guests. */
const BITS_MIN = 16;
const BITS_MAX = 29;
const FORWARDS_MAX = 256;
const RULES_MAX = 1024;
const NAME_MAX = 255;
const FILE_NAME_MAX = 127;
export const LOOPBACK = "127.0.0.1";

export interface CheckedForward {
  readonly protocol: "tcp" | "udp";
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly guestAddress: number;
  readonly guestPort: number;
}

export interface CheckedUserNetwork {
  readonly net: Ipv4Net;
  readonly host: number;
  readonly dns: number;
  /** Where files are served by HTTP. */
  readonly files: number;
  readonly dhcpStart: number;
  /** How many addresses DHCP has to give. */
  readonly dhcpCount: number;
  readonly hostname: string | undefined;
  readonly domain: string | undefined;
  readonly restrict: boolean;
  readonly allow: readonly string[] | undefined;
  readonly forwards: readonly CheckedForward[];
  readonly bootFile: string | undefined;
}

/** Throws VmError("bad-config") naming the field, after `where` ("nics[0].backend."). */
export function checkUserNetwork(settings: UserNetworkSettings, where = ""): CheckedUserNetwork {
  const net = parseNet(text(`${where}net`, settings.net ?? DEFAULT_NET));
  if (net === undefined || net.bits < BITS_MIN || net.bits > BITS_MAX)
    refuse(
      `${where}net`,
      settings.net,
      `a net such as ${DEFAULT_NET}, with a prefix of ${BITS_MIN} to ${BITS_MAX} bits`,
    );
  const size = 2 ** (32 - net.bits);
  const last = net.base + size - 1;
  const address = (name: "host" | "dns" | "dhcpStart", offset: number): number => {
    const given = settings[name];
    const found = given === undefined ? net.base + offset : parseIpv4(text(`${where}${name}`, given));
    if (found === undefined || !inNet(found, net) || found === net.base || found === last)
      refuse(`${where}${name}`, given, `an address in ${formatIpv4(net.base)}/${net.bits}`);
    return found;
  };
  const host = address("host", HOST_OFFSET);
  const dns = address("dns", DNS_OFFSET);
  if (dns === host) refuse(`${where}dns`, settings.dns, "another address than the gateway's (host)");
  let files = net.base + FILES_OFFSET;
  while (files === host || files === dns) files++;
  const dhcpStart = address("dhcpStart", Math.min(DHCP_OFFSET, size - 3));
  const own = [host, dns, files].filter((each) => each >= dhcpStart);
  const dhcpEnd = Math.min(last, ...own);
  if (dhcpEnd <= dhcpStart) refuse(`${where}dhcpStart`, settings.dhcpStart, "an address behind those of the gateway");
  return {
    net,
    host,
    dns,
    files,
    dhcpStart,
    dhcpCount: dhcpEnd - dhcpStart,
    hostname: name(`${where}hostname`, settings.hostname),
    domain: name(`${where}domain`, settings.domain),
    restrict: flag(`${where}restrict`, settings.restrict ?? false),
    allow: checkAllow(`${where}allow`, settings),
    forwards: checkForwards(`${where}forwards`, settings.forwards ?? [], net, dhcpStart),
    bootFile: bootFile(`${where}bootFile`, settings),
  };
}

export const broadcastOf = ({ base, bits }: Ipv4Net): number => (base | ~maskOf(bits)) >>> 0;

function name(field: string, value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (!/^[a-z\d]([a-z\d.-]*[a-z\d])?$/i.test(text(field, value)) || value.length > NAME_MAX)
    refuse(field, value, "a name of letters, digits, hyphens and dots");
  return value;
}

function bootFile(field: string, { bootFile: file, tftp }: UserNetworkSettings): string | undefined {
  if (file === undefined) return undefined;
  if (text(field, file).length === 0 || file.length > FILE_NAME_MAX || !/^[\x20-\x7e]+$/.test(file))
    refuse(field, file, `1 to ${FILE_NAME_MAX} characters of ASCII`);
  if (tftp === undefined && !/^\w+:\/\//.test(file)) refuse(field, file, "a URL, where no directory (tftp) is served");
  return file;
}

function checkAllow(field: string, { allow, restrict }: UserNetworkSettings): readonly string[] | undefined {
  if (allow === undefined) return undefined;
  if (!Array.isArray(allow) || allow.length > RULES_MAX) refuse(field, allow, `a list of at most ${RULES_MAX} rules`);
  if (restrict) refuse(field, allow, "nothing beside restrict, which allows no destination");
  for (const [i, rule] of allow.entries()) {
    if (parseRule(text(`${field}[${i}]`, rule)) === undefined)
      refuse(`${field}[${i}]`, rule, '"192.0.2.0/24", "192.0.2.1:80", "example.org:443", "*.example.org", "host:8080"');
  }
  return allow;
}

function checkForwards(
  field: string,
  forwards: readonly PortForward[],
  net: Ipv4Net,
  firstGuest: number,
): readonly CheckedForward[] {
  if (!Array.isArray(forwards) || forwards.length > FORWARDS_MAX)
    refuse(field, forwards, `a list of at most ${FORWARDS_MAX} forwards`);
  return forwards.map((forward, i) => {
    const at = `${field}[${i}]`;
    if (typeof forward !== "object" || forward === null)
      refuse(at, forward, "an object { protocol, hostPort, guestPort }");
    const hostAddress = text(`${at}.hostAddress`, forward.hostAddress ?? LOOPBACK);
    if (parseIpv4(hostAddress) === undefined) refuse(`${at}.hostAddress`, hostAddress, "an IPv4 address of the host");
    const { guestAddress } = forward;
    const guest = guestAddress === undefined ? firstGuest : parseIpv4(text(`${at}.guestAddress`, guestAddress));
    if (guest === undefined || !inNet(guest, net))
      refuse(`${at}.guestAddress`, guestAddress, `an address in ${formatIpv4(net.base)}/${net.bits}`);
    return {
      protocol: oneOf(`${at}.protocol`, forward.protocol, ["tcp", "udp"]),
      hostAddress,
      hostPort: integer(`${at}.hostPort`, forward.hostPort, 0, 0xffff),
      guestAddress: guest,
      guestPort: integer(`${at}.guestPort`, forward.guestPort, 1, 0xffff),
    };
  });
}
