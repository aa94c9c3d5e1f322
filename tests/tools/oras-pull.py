#!/usr/bin/env python3
"""Pulls artifacts from a registry on loopback with the Python client of the ORAS project.

    PYTHONPATH=target/release-parts/python oras-pull.py DIR REPOSITORY@DIGEST...

Each goes into DIR, under the names of its layers. Ends with an error if a manifest is not what the
client takes for one.
"""

import sys

import oras.client

folder, *references = sys.argv[1:]
for reference in references:
    client = oras.client.OrasClient(hostname=reference.split("/")[0], insecure=True)
    for file in client.pull(target=reference, outdir=folder):
        print(file)
