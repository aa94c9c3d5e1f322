#!/usr/bin/python3
"""Tells whether a file of attestations is what in-toto's own software takes.

    tests/tools/check-attestations.py FILE [KEY]

Each line has to be a DSSE envelope around an in-toto statement, with a predicate that is SLSA
provenance or a result of tests and has no field that these do not know. With KEY, an Ed25519 key of
64 hexadecimal digits, each envelope has to be signed by it. Prints the predicate types, and exits with
1 if something is wrong. Needs the packages in-toto-attestation and securesystemslib in PYTHONPATH.
"""

import json
import pathlib
import sys

import google.protobuf.json_format as pb_json
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import resource_descriptor, statement, statement_pb2
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

PREDICATES = {
    "https://slsa.dev/provenance/v1": provenance_pb2.Provenance,
    "https://in-toto.io/attestation/test-result/v0.1": test_result_pb2.TestResult,
}


def check(line: str, key: str | None) -> str:
    envelope = Envelope.from_dict(json.loads(line))
    if key is not None:
        for keyid in envelope.signatures:
            named = SSlibKey(keyid, "ed25519", "ed25519", {"public": key})
            envelope.verify([named], 1)
        if not envelope.signatures:
            raise ValueError("nobody signed it")
    parsed = pb_json.Parse(envelope.payload, statement_pb2.Statement())
    statement.Statement.copy_from_pb(parsed).validate()
    predicate = PREDICATES[parsed.predicate_type]()
    # A field that is unknown is an error here.
    pb_json.Parse(json.dumps(json.loads(envelope.payload)["predicate"]), predicate)
    if isinstance(predicate, provenance_pb2.Provenance):
        definition, run = predicate.build_definition, predicate.run_details
        assert definition.build_type and definition.external_parameters, "no definition"
        assert run.builder.id, "no builder"
        descriptors = [*definition.resolved_dependencies, *run.byproducts]
    else:
        assert predicate.result in ("PASSED", "WARNED", "FAILED"), predicate.result
        assert predicate.configuration, "no configuration"
        descriptors = predicate.configuration
    for descriptor in descriptors:
        resource_descriptor.ResourceDescriptor.copy_from_pb(descriptor).validate()
        assert descriptor.uri or descriptor.digest or descriptor.content, descriptor.name
    return parsed.predicate_type


def main() -> int:
    file, *key = sys.argv[1:]
    for number, line in enumerate(pathlib.Path(file).read_text().splitlines(), 1):
        try:
            print(check(line, key[0] if key else None))
        except Exception as error:  # Theirs have no base class but this one.
            print(f"{file}:{number}: {type(error).__name__}: {error}", file=sys.stderr)
            return 1
    return 0


sys.exit(main())
