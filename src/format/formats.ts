import type { Format } from './format.ts';
import { imageStatement } from './image-statement.ts';
import { provenanceV02 } from './provenance-v02.ts';
import { provenanceV1, provenanceV1Steps } from './provenance-v1.ts';
import { simplesigning } from './simplesigning.ts';

export const formats = {
  'provenance-v02': provenanceV02,
  'provenance-v1': provenanceV1,
  'provenance-v1-steps': provenanceV1Steps,
  simplesigning,
  'image-statement': imageStatement,
} satisfies Record<string, Format>;

/** The format that a configured name (`slsa/v1`) means; undefined when there is none. */
export function formatOf(name: string): Format | undefined {
  return Object.values<Format>(formats).find(({ names }) => names.includes(name));
}

/** The configured names that an artifact kind may have, for parsing, documentation and "did you mean". */
export function formatNames(artifact: Format['artifacts'][number]): readonly string[] {
  return Object.values<Format>(formats).flatMap(({ artifacts, names, isDerived }) =>
    artifacts.includes(artifact) && isDerived !== true ? names : [],
  );
}
