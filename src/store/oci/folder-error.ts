import { TerminalError, TransientError, type CodedError } from '../../errors.ts';

interface Row {
  readonly errors: readonly string[];
  readonly code: string;
  readonly reason: string;
  readonly fix: string;
  readonly retry: 'later' | 'never';
}

/** A disk is emptied by somebody in a while; a folder that may not be written stays so. */
const rows: readonly Row[] = [
  {
    errors: ['EROFS', 'EACCES', 'EPERM'],
    code: 'store.layout.read-only',
    reason: 'this process may not do that',
    fix: 'let the process write to the folder, or name another in storage.oci.directory',
    retry: 'never',
  },
  {
    errors: ['ENOSPC', 'EDQUOT', 'EFBIG'],
    code: 'store.layout.full',
    reason: 'there is no room',
    fix: 'free space on the disk, or raise the quota',
    retry: 'later',
  },
  {
    errors: ['ENOTDIR', 'EISDIR', 'EEXIST', 'ELOOP', 'ENAMETOOLONG'],
    code: 'store.layout.corrupt',
    reason: 'the path is not what a layout folder has there',
    fix: 'name a folder in storage.oci.directory',
    retry: 'never',
  },
];

/** What an error of the file system means. `action` is `read`, `write`, … */
export function folderError(action: string, file: string, cause: unknown): CodedError {
  const name = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : 'unknown error';
  const row = rows.find(({ errors }) => errors.includes(name));
  if (row === undefined)
    return new TransientError('store.layout.io', `Cannot ${action} "${file}": ${name}`, { cause, dependency: 'layout' });
  const message = `Cannot ${action} "${file}": ${row.reason} (${name})`;
  if (row.retry === 'never') return new TerminalError(row.code, message, { cause, fix: row.fix });
  return new TransientError(row.code, message, { cause, fix: row.fix });
}
