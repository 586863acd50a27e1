import type { HintRule } from '../extract/mapping.ts';
import type { ArtifactKind, Image } from '../model/artifact.ts';
import type { Family } from '../model/run.ts';
import type { Payload } from '../model/work.ts';

/** The configuration that changes payload bytes (chains-provenance 1.2). */
export interface FormatOptions {
  /** `builder.id` */
  readonly builderId: string;
  /** `builddefinition.buildtype` */
  readonly buildType: string;
  /** `artifacts.pipelinerun.enable-deep-inspection` */
  readonly deepInspection: boolean;
  /** `extract.native-artifacts`: TEP-0147 artifacts are read; absent: they are not. */
  readonly nativeArtifacts?: boolean;
  /** `extract.hints`; absent: none. */
  readonly hints?: readonly HintRule[];
}

/** What a payload is made of: the run with its children, and the image when it is about one alone. */
export interface FormatInput {
  readonly family: Family;
  readonly image: Image | undefined;
}

/** A row of the table: pure, deterministic, byte for byte (P7). `payload` throws a `TerminalError` when no true statement can be made. */
export interface Format {
  /** The configured names that mean this format; the first one is canonical. */
  readonly names: readonly string[];
  readonly artifacts: readonly ArtifactKind[];
  /** Made because of something else that is configured: nobody can ask for it by its name. */
  readonly isDerived?: true;
  /** `dsse`: the payload is wrapped in an envelope; `raw`: its bytes are signed as they are. */
  readonly signing: 'dsse' | 'raw';
  payload(input: FormatInput, options: FormatOptions): Payload;
}
