// Written by `node test/protos/generate.ts` from the .proto files beside it (in-toto/attestation v1.2.0, Apache-2.0). Do not edit.
import type { JsonObject } from '../../model/json.ts';

/** RFC 3339, UTC, with 0, 3, 6 or 9 digits of a second. */
type TimestampJson = string;
type StructJson = JsonObject;

/**
 * Proto representation of the in-toto v1 ResourceDescriptor.
 * https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md
 * Validation of all fields is left to the users of this proto.
 *
 * @generated from message in_toto_attestation.v1.ResourceDescriptor
 */
export type ResourceDescriptorJson = {
  /**
   * @generated from field: string name = 1;
   */
  readonly name?: string;

  /**
   * @generated from field: string uri = 2;
   */
  readonly uri?: string;

  /**
   * @generated from field: map<string, string> digest = 3;
   */
  readonly digest?: { readonly [key: string]: string };

  /**
   * @generated from field: bytes content = 4;
   */
  readonly content?: string;

  /**
   * @generated from field: string download_location = 5;
   */
  readonly downloadLocation?: string;

  /**
   * @generated from field: string media_type = 6;
   */
  readonly mediaType?: string;

  /**
   * Per the Struct protobuf spec, this type corresponds to
   * a JSON Object, which is truly a map<string, Value> under the hood.
   * So, the Struct a) is still consistent with our specification for
   * the `annotations` field, and b) has native support in some language
   * bindings making their use easier in implementations.
   * See: https://pkg.go.dev/google.golang.org/protobuf/types/known/structpb#Struct
   *
   * @generated from field: google.protobuf.Struct annotations = 7;
   */
  readonly annotations?: StructJson;
};

/**
 * Proto representation of the in-toto v1 Statement.
 * https://github.com/in-toto/attestation/tree/main/spec/v1
 * Validation of all fields is left to the users of this proto.
 *
 * @generated from message in_toto_attestation.v1.Statement
 */
export type StatementJson = {
  /**
   * Expected to always be "https://in-toto.io/Statement/v1"
   *
   * @generated from field: string type = 1 [json_name = "_type"];
   */
  readonly _type?: string;

  /**
   * @generated from field: repeated in_toto_attestation.v1.ResourceDescriptor subject = 2;
   */
  readonly subject?: readonly ResourceDescriptorJson[];

  /**
   * @generated from field: string predicate_type = 3;
   */
  readonly predicateType?: string;

  /**
   * @generated from field: google.protobuf.Struct predicate = 4;
   */
  readonly predicate?: StructJson;
};

/**
 * Proto representation of predicate type https://slsa.dev/provenance/v1
 * Validation of all fields is left to the users of this proto.
 *
 * @generated from message in_toto_attestation.predicates.provenance.v1.Provenance
 */
export type ProvenanceJson = {
  /**
   * @generated from field: in_toto_attestation.predicates.provenance.v1.BuildDefinition build_definition = 1;
   */
  readonly buildDefinition?: BuildDefinitionJson;

  /**
   * @generated from field: in_toto_attestation.predicates.provenance.v1.RunDetails run_details = 2;
   */
  readonly runDetails?: RunDetailsJson;
};

/**
 * @generated from message in_toto_attestation.predicates.provenance.v1.BuildDefinition
 */
export type BuildDefinitionJson = {
  /**
   * @generated from field: string build_type = 1;
   */
  readonly buildType?: string;

  /**
   * @generated from field: google.protobuf.Struct external_parameters = 2;
   */
  readonly externalParameters?: StructJson;

  /**
   * @generated from field: google.protobuf.Struct internal_parameters = 3;
   */
  readonly internalParameters?: StructJson;

  /**
   * @generated from field: repeated in_toto_attestation.v1.ResourceDescriptor resolved_dependencies = 4;
   */
  readonly resolvedDependencies?: readonly ResourceDescriptorJson[];
};

/**
 * @generated from message in_toto_attestation.predicates.provenance.v1.RunDetails
 */
export type RunDetailsJson = {
  /**
   * @generated from field: in_toto_attestation.predicates.provenance.v1.Builder builder = 1;
   */
  readonly builder?: BuilderJson;

  /**
   * @generated from field: in_toto_attestation.predicates.provenance.v1.BuildMetadata metadata = 2;
   */
  readonly metadata?: BuildMetadataJson;

  /**
   * @generated from field: repeated in_toto_attestation.v1.ResourceDescriptor byproducts = 3;
   */
  readonly byproducts?: readonly ResourceDescriptorJson[];
};

/**
 * @generated from message in_toto_attestation.predicates.provenance.v1.Builder
 */
export type BuilderJson = {
  /**
   * @generated from field: string id = 1;
   */
  readonly id?: string;

  /**
   * @generated from field: map<string, string> version = 2;
   */
  readonly version?: { readonly [key: string]: string };

  /**
   * @generated from field: repeated in_toto_attestation.v1.ResourceDescriptor builder_dependencies = 3;
   */
  readonly builderDependencies?: readonly ResourceDescriptorJson[];
};

/**
 * @generated from message in_toto_attestation.predicates.provenance.v1.BuildMetadata
 */
export type BuildMetadataJson = {
  /**
   * @generated from field: string invocation_id = 1;
   */
  readonly invocationId?: string;

  /**
   * @generated from field: google.protobuf.Timestamp started_on = 2;
   */
  readonly startedOn?: TimestampJson;

  /**
   * @generated from field: google.protobuf.Timestamp finished_on = 3;
   */
  readonly finishedOn?: TimestampJson;
};
