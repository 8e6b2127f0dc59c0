/** Certificates for tests, made when they are needed: X.509 of a key of its own, for a name or an address (RFC 5280). */

import { generateKeyPairSync, sign } from 'node:crypto';
import { isIP } from 'node:net';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const ECDSA_WITH_SHA256 = seq(oid('2a8648ce3d040302'));

/** A certificate for *name* that is its own authority. */
export function selfSigned(name: string): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const who = seq(der(0x31, seq(oid('550403'), der(0x0c, Buffer.from(name)))));
  const validity = seq(time('000101000000Z'), time('491231235959Z'));
  const isAuthority = seq(oid('551d13'), der(0x04, seq(der(0x01, Buffer.of(0xff)))));
  const names = seq(oid('551d11'), der(0x04, seq(alternative(name))));
  const signed = seq(
    der(0xa0, der(0x02, Buffer.of(2))), // version 3
    der(0x02, Buffer.of(1)),
    ECDSA_WITH_SHA256,
    who,
    validity,
    who,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, seq(isAuthority, names)),
  );
  const signature = der(0x03, Buffer.of(0), sign('sha256', signed, privateKey));
  const base64 = seq(signed, ECDSA_WITH_SHA256, signature).toString('base64');
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines(base64)}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** No line may be empty (RFC 7468), also when the text fills its last one. */
function lines(base64: string): string {
  return (base64.match(/.{1,64}/g) ?? []).join('\n');
}

function alternative(name: string): Buffer {
  return isIP(name) === 4
    ? der(0x87, Buffer.from(name.split('.').map(Number)))
    : der(0x82, Buffer.from(name));
}

/** One element: its tag, the length of what it holds, and that. */
function der(tag: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(tag, ...lengthOf(body.length)), body]);
}

/** In as few bytes as it takes, as DER wants it. */
function lengthOf(bytes: number): number[] {
  if (bytes < 0x80) return [bytes];
  return bytes < 0x100 ? [0x81, bytes] : [0x82, bytes >> 8, bytes & 0xff];
}

function seq(...parts: Buffer[]): Buffer {
  return der(0x30, ...parts);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'));
}

function time(text: string): Buffer {
  return der(0x17, Buffer.from(text));
}
