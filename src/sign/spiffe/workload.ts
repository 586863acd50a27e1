import { create, toBinary, type Message } from '@bufbuild/protobuf';
import { fileDesc, serviceDesc, type GenMessage, type GenService } from '@bufbuild/protobuf/codegenv2';
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
  type FieldDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt';
import type { MessageInitShape } from '@bufbuild/protobuf';

// The part of the SPIFFE Workload API (github.com/spiffe/spiffe, standards/workloadapi.proto, Apache-2.0) that gives JWT-SVIDs. It is small
// enough to be written down as a descriptor, which saves a code generator: the runtime makes of it what generated code would.

type Field = MessageInitShape<typeof FieldDescriptorProtoSchema>;

function text(name: string, number: number, label: Label = Label.OPTIONAL): Field {
  return { name, number, label, type: Type.STRING };
}

const file = fileDesc(
  Buffer.from(
    toBinary(
      FileDescriptorProtoSchema,
      create(FileDescriptorProtoSchema, {
        name: 'workload.proto',
        syntax: 'proto3',
        messageType: [
          { name: 'JWTSVIDRequest', field: [text('audience', 1, Label.REPEATED), text('spiffe_id', 2)] },
          { name: 'JWTSVID', field: [text('spiffe_id', 1), text('svid', 2), text('hint', 3)] },
          {
            name: 'JWTSVIDResponse',
            field: [{ name: 'svids', number: 1, label: Label.REPEATED, type: Type.MESSAGE, typeName: '.JWTSVID' }],
          },
        ],
        service: [
          { name: 'SpiffeWorkloadAPI', method: [{ name: 'FetchJWTSVID', inputType: '.JWTSVIDRequest', outputType: '.JWTSVIDResponse' }] },
        ],
      }),
    ),
  ).toString('base64'),
);

type Request = Message<'JWTSVIDRequest'> & { audience: string[]; spiffeId: string };
type Svid = Message<'JWTSVID'> & { spiffeId: string; svid: string; hint: string };
type Response = Message<'JWTSVIDResponse'> & { svids: Svid[] };

/** One call: a JWT-SVID of each identity that the agent gives the caller (of one, if `spiffeId` names it), the default one first. */
export const SpiffeWorkloadApi: GenService<{
  fetchJWTSVID: { methodKind: 'unary'; input: GenMessage<Request>; output: GenMessage<Response> };
}> = serviceDesc(file, 0);
