#!/usr/bin/python3
"""Tells where a file does not follow a JSON Schema; others that it refers to lie beside it.

    tests/tools/validate-json.py SCHEMA FILE

Exits with 1 if it does not. Needs the package python3-jsonschema.
"""

import json
import pathlib
import sys

import jsonschema


def main() -> int:
    schema_file, file = map(pathlib.Path, sys.argv[1:])
    schema = json.loads(schema_file.read_text())
    base = schema["$id"].rsplit("/", 1)[0] + "/"
    beside = {}
    for other in schema_file.parent.glob("*.json"):
        beside[base + other.name] = json.loads(other.read_text())
    resolver = jsonschema.RefResolver(schema["$id"], schema, store=beside)
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    errors = list(kind(schema, resolver=resolver).iter_errors(json.loads(file.read_text())))
    for error in errors[:20]:
        print(f"{file}: /{'/'.join(map(str, error.absolute_path))}: {error.message[:400]}")
    return 1 if errors else 0


sys.exit(main())
