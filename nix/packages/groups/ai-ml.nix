# For models and data: one Python with the usual libraries, runtimes that answer on the machine
# itself, and what reads data. All of it is free and runs without a GPU; the shell `cuda` has those.
pkgs:
with pkgs;
let
  python = python3.withPackages (
    packages: with packages; [
      datasets
      huggingface-hub
      jupyterlab
      matplotlib
      numpy
      onnxruntime
      pandas
      polars
      pyarrow
      scikit-learn
      scipy
      torch
      transformers
    ]
  );
in
[
  duckdb
  llama-cpp
  ollama
  # Wins over the Python of `development`, which has none of these.
  (lib.hiPrio python)
  qsv
  uv
  whisper-cpp
]
