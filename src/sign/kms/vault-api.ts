import { readFile } from 'node:fs/promises';
import { Agent } from 'undici';
import { z } from 'zod';
import { TerminalError, TransientError } from '../../errors.ts';
import { retryAfterMs, send, shownUrl, type Answer, type Call } from '../../http/http.ts';
import type { Context } from '../../observe/context.ts';
import type { Access } from './access.ts';
import { trouble, troubleOf, type Trouble } from './failure.ts';
import type { Place } from './key.ts';

/** One request to a Vault or OpenBao. */
export interface Ask {
  readonly method: Call['method'];
  /** What follows `/v1/`. */
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly token?: string;
  /** Other values that must not come back in an error. */
  readonly secrets?: readonly string[];
}

export interface Said {
  readonly status: number;
  /** The JSON of the answer; undefined for an empty one, or what is no JSON. */
  readonly body: unknown;
  /** What Vault's own error says, without anything secret that was sent; empty for none. */
  readonly reason: string;
  readonly retryAfterMs: number | undefined;
}

export interface VaultApi extends AsyncDisposable {
  /** Any status is an answer. Throws what `send` throws. */
  ask(ask: Ask, ctx: Context): Promise<Said>;
}

/** An answer is a key with all its versions at most, some hundred bytes each. */
const maxBytes = 1024 * 1024;
/** So that a second try has its place in the ten seconds that a signature may take. */
const attemptMs = 4_000;

/** As many as signatures are made at once; without a bound there are ever more of them, as calls come and go. */
const connections = 16;

/** The client of one Vault: address, namespace and CA as configured, else as the environment of Vault's own client has them. */
export async function openVaultApi(address: string, { auth, ambient }: Access, place: Place): Promise<VaultApi> {
  const namespace = auth.namespace ?? ambient.VAULT_NAMESPACE ?? ambient.BAO_NAMESPACE;
  const ca = await caOf(auth.caFile ?? ambient.VAULT_CACERT ?? ambient.BAO_CACERT);
  const agent = new Agent({ connections, ...(ca !== undefined && { connect: { ca } }) });
  const headers = { 'x-vault-request': 'true', ...(namespace !== undefined && { 'x-vault-namespace': namespace }) };
  return {
    async ask({ method, path, body, token, secrets = [] }, ctx) {
      const call: Call = {
        method,
        url: `${address}/v1/${path}`,
        dependency: place.dependency,
        headers: { ...headers, ...(token !== undefined && { 'x-vault-token': token }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        dispatcher: agent,
        timeoutMs: attemptMs,
        maxBytes,
        // A standby sends us to the active server.
        redirects: 2,
        ...(method !== 'POST' && { retries: 1 }),
      };
      const answer = await send(call, ctx).catch((error: unknown) => {
        if (error instanceof TerminalError && error.code === 'http.too-large') throw trouble('nonsense', place, 'a very long answer');
        throw error;
      });
      return saidIn(answer, token === undefined ? secrets : [token, ...secrets]);
    },
    async [Symbol.asyncDispose]() {
      await agent.destroy();
    },
  };
}

/** The address of a Vault, without its last slash. Throws `sign.kms-address`. */
export function vaultAddress({ auth, ambient }: Access, scheme: string): string {
  const address = auth.address ?? ambient.VAULT_ADDR ?? ambient.BAO_ADDR;
  const fix = 'set signers.kms.auth.address, or VAULT_ADDR, to a URL like https://vault.example.com:8200';
  if (address === undefined) {
    throw new TerminalError('sign.kms-address', `Cannot use a ${scheme} key: the address of the server is not known`, { fix });
  }
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '' && url.hash === '') {
    return url.href.replace(/\/+$/, '');
  }
  const shown = url === undefined || url.host === '' ? address.replace(/^.*@/, '') : shownUrl(address);
  throw new TerminalError('sign.kms-address', `Cannot use "${shown}" as the address of a ${scheme} server: want an http or https URL`, {
    fix,
  });
}

/** The body of a good answer, as `schema` has it. Throws the error that an unwelcome status means, and `sign.kms-protocol`. */
export function goodBody<Schema extends z.ZodType>(said: Said, schema: Schema, place: Place): z.output<Schema> {
  const shown = `${said.status}${said.reason === '' ? '' : ` "${said.reason}"`}`;
  if (said.status >= 300) {
    throw trouble(vaultTroubleOf(said) ?? 'rejected', place, shown, said.retryAfterMs);
  }
  const parsed = schema.safeParse(said.body);
  if (parsed.success) return parsed.data;
  throw trouble('nonsense', place, `${said.status} without ${parsed.error.issues[0]?.path.join('.') ?? 'content'}`);
}

/** As `troubleOf`. Undefined for what blames the request, as a status 500 with a reason does: an engine's own errors come like that. */
export function vaultTroubleOf({ status, reason }: Said): Trouble | undefined {
  // A replica that is behind, or that may not answer (Vault API, status codes).
  if ([412, 472, 473].includes(status)) return 'unavailable';
  return status === 500 && reason !== '' ? undefined : troubleOf(status);
}

const Errors = z.object({ errors: z.array(z.string()).min(1) });

function saidIn(answer: Answer, secrets: readonly string[]): Said {
  const body = jsonOf(answer.body);
  const errors = Errors.safeParse(body);
  return {
    status: answer.status,
    body,
    reason: answer.status < 300 || !errors.success ? '' : withoutSecrets(errors.data.errors.join('; '), secrets),
    retryAfterMs: retryAfterMs(answer.headers),
  };
}

/** Vault does not quote what it is sent; whoever answers in its place might. The parts of a JWT are as secret as the whole. */
function withoutSecrets(text: string, secrets: readonly string[]): string {
  const parts = secrets.flatMap((secret) => [secret, ...secret.split('.')]).filter((part) => part.length >= 4);
  const longestFirst = parts.sort((a, b) => b.length - a.length);
  const clean = longestFirst.reduce((left, part) => left.replaceAll(part, '***'), text);
  return clean
    .replaceAll(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, 200);
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

async function caOf(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new TransientError('sign.kms-credential', `Cannot read the CA file "${file}": ${code}`, {
      cause: error,
      fix: 'correct signers.kms.auth.ca-file, or mount the file there',
    });
  }
}
