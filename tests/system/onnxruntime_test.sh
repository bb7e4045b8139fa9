#!/bin/sh
# Exports the models with the unit test given as the first argument, then asks onnxruntime.
set -eu
command -v node >/dev/null || { echo "node is not installed: skipped"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
STARLING_EXPORT_DIR=$folder "$1" --gtest_filter='OnnxExport.*' --gtest_brief=1
node "$(dirname "$0")/onnxruntime_test.mjs" "$folder"
