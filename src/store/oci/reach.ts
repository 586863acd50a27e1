import { BlockList, isIP } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

const privateIpv4 = new BlockList();
privateIpv4.addSubnet('10.0.0.0', 8, 'ipv4');
privateIpv4.addSubnet('172.16.0.0', 12, 'ipv4');
privateIpv4.addSubnet('192.168.0.0', 16, 'ipv4');

/** What else is not the internet: link-local (cloud metadata lives there), unspecified, unique local. */
const elsewhere = new BlockList();
elsewhere.addSubnet('169.254.0.0', 16, 'ipv4');
elsewhere.addSubnet('0.0.0.0', 8, 'ipv4');
elsewhere.addAddress('::', 'ipv6');
elsewhere.addSubnet('fe80::', 10, 'ipv6');
elsewhere.addSubnet('fc00::', 7, 'ipv6');

/**
 * Whether plain http may be spoken with this registry without being told: `localhost`, `*.localhost`, loopback and RFC 1918 literals
 * (sigstore-wire 3.9). A host name that merely resolves to such an address does not count.
 */
export function mayUseHttp(registry: string): boolean {
  const host = hostOf(registry);
  return host === 'localhost' || host.endsWith('.localhost') || isIn(host, [loopback, privateIpv4]);
}

/** An address literal that nobody on the internet has: a token server must not send us there (sigstore-wire 3.9, realm safety). */
export function isPrivateLiteral(host: string): boolean {
  return isIn(hostOf(host), [loopback, privateIpv4, elsewhere]);
}

function isIn(host: string, lists: readonly BlockList[]): boolean {
  const family = isIP(host);
  return family !== 0 && lists.some((list) => list.check(host, family === 6 ? 'ipv6' : 'ipv4'));
}

/** The host without port and brackets. */
function hostOf(registry: string): string {
  return registry
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
}
