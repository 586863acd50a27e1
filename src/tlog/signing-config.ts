import { z } from 'zod';
import { TerminalError } from '../errors.ts';
import { parseStrictJson } from '../model/strict-json.ts';

const Time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));
const Service = z.object({
  url: z
    .string()
    .max(2048)
    .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), 'want an http or https URL'),
  majorApiVersion: z.int().nonnegative().default(0),
  validFor: z.object({ start: Time.optional(), end: Time.optional() }).default({}),
  operator: z.string().max(256).default(''),
});
const Services = z.array(Service).max(64).default([]);
const Choice = z.object({ selector: z.enum(['ANY', 'ALL', 'EXACT']), count: z.int().positive().max(64).optional() });
const SigningConfigJson = z.object({
  mediaType: z.literal('application/vnd.dev.sigstore.signingconfig.v0.2+json'),
  caUrls: Services,
  oidcUrls: Services,
  rekorTlogUrls: Services,
  rekorTlogConfig: Choice.optional(),
  tsaUrls: Services,
  tsaConfig: Choice.optional(),
});

/** A service that signers may use, and who runs it. */
export interface SigstoreService {
  readonly url: string;
  readonly majorApiVersion: number;
  readonly validFor: { readonly start?: Date | undefined; readonly end?: Date | undefined };
  readonly operator: string;
}
type Choice = z.output<typeof Choice>;

/** `signing_config.v0.2.json` (sigstore-wire 5.10, protobuf-specs `sigstore_trustroot.proto`). */
export interface SigningConfig {
  /** What the text is called in errors. */
  readonly where: string;
  readonly caUrls: readonly SigstoreService[];
  readonly oidcUrls: readonly SigstoreService[];
  readonly rekorTlogUrls: readonly SigstoreService[];
  readonly rekorTlogConfig?: Choice | undefined;
  readonly tsaUrls: readonly SigstoreService[];
  readonly tsaConfig?: Choice | undefined;
}

/** Members that are not known are passed over: newer files may have more services. Throws `tlog.signing-config`. */
export function parseSigningConfig(json: Uint8Array, where: string): SigningConfig {
  const document = SigningConfigJson.safeParse(jsonOf(json, where));
  if (document.success) return { where, ...document.data };
  const [issue] = document.error.issues;
  throw wrong(where, `${issue?.path.join('.') || 'the document'}: ${issue?.message ?? 'it is none'}`);
}

function jsonOf(json: Uint8Array, where: string): unknown {
  try {
    return parseStrictJson(json, where, 1024 * 1024);
  } catch (error) {
    throw wrong(where, error instanceof Error ? error.message : 'it is not JSON', error);
  }
}

/** Where to sign now. A list is empty, and a URL undefined, when the configuration has no service of that sort at all. */
export interface SelectedServices {
  readonly rekor: readonly { readonly url: string; readonly majorApiVersion: number }[];
  /** Of the requests themselves. */
  readonly tsa: readonly string[];
  readonly fulcio: string | undefined;
  /** OIDC issuer. */
  readonly oidc: string | undefined;
}

/** What the choice depends on: the time, and the generations of Rekor that may be written to. */
export interface Selecting {
  readonly now: Date;
  readonly rekorVersions: readonly number[];
}

/**
 * Chooses as sigstore-go does (`root.SelectServices`; sigstore-wire 5.10): what is valid now, of these the highest version that we speak, the
 * newest first and one for each operator; then as many as the selector wants. Where that leaves a choice we take the newest, not a random
 * one: every replica and every retry writes to the same log. Throws `tlog.no-service`.
 */
export function selectServices(config: SigningConfig, { now, rekorVersions }: Selecting): SelectedServices {
  const one = (services: readonly SigstoreService[], what: string): string | undefined =>
    services.length === 0 ? undefined : chosen({ services, what, versions: [1], choice: { selector: 'ANY' } }, config, now)[0]?.url;
  const several = (services: readonly SigstoreService[], what: string, versions: readonly number[], choice: Choice | undefined) =>
    services.length === 0 ? [] : chosen({ services, what, versions, choice }, config, now);
  return {
    rekor: several(config.rekorTlogUrls, 'rekorTlog', rekorVersions, config.rekorTlogConfig).map(({ url, majorApiVersion }) => ({
      url,
      majorApiVersion,
    })),
    tsa: several(config.tsaUrls, 'tsa', [1], config.tsaConfig).map(({ url }) => url),
    fulcio: one(config.caUrls, 'ca'),
    oidc: one(config.oidcUrls, 'oidc'),
  };
}

interface Sort {
  readonly services: readonly SigstoreService[];
  /** Its member without `Urls`. */
  readonly what: string;
  readonly versions: readonly number[];
  readonly choice: Choice | undefined;
}

function chosen({ services, what, versions, choice }: Sort, { where }: SigningConfig, now: Date): readonly SigstoreService[] {
  if (choice === undefined) throw wrong(where, `${what}Config is missing, which says how many of ${what}Urls to use`);
  const usable = services.filter((service) => versions.includes(service.majorApiVersion) && isValid(service, now));
  const version = Math.max(...usable.map(({ majorApiVersion }) => majorApiVersion));
  const newest = usable.filter(({ majorApiVersion }) => majorApiVersion === version).toSorted((a, b) => startOf(b) - startOf(a));
  const each = newest.filter(({ operator }, place) => newest.findIndex((other) => other.operator === operator) === place);
  const count = { ANY: 1, ALL: each.length, EXACT: choice.count ?? 0 }[choice.selector];
  if (choice.selector === 'EXACT' && count === 0) throw wrong(where, `${what}Config wants an exact number and has none`);
  if (each.length >= Math.max(1, count)) return each.slice(0, count);
  throw new TerminalError(
    'tlog.no-service',
    `Cannot choose from ${what}Urls of ${where}: want ${Math.max(1, count)} of version ${versions.join(' or ')} that ${count > 1 ? 'are' : 'is'} valid at ${now.toISOString()}, found ${each.length} of different operators`,
    { fix: 'get a newer signing configuration, or name the services in the configuration' },
  );
}

function isValid({ validFor: { start, end } }: SigstoreService, now: Date): boolean {
  return (start === undefined || start <= now) && (end === undefined || now <= end);
}

function startOf({ validFor: { start } }: SigstoreService): number {
  return start?.getTime() ?? 0;
}

function wrong(where: string, reason: string, cause?: unknown): TerminalError {
  return new TerminalError('tlog.signing-config', `Cannot use the signing configuration ${where}: ${reason}`, {
    cause,
    fix: 'give a signing_config.v0.2.json as "cosign signing-config create" makes it',
  });
}
