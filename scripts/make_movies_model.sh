#!/bin/sh
# Make the shipped model, rationale/movies_model, from a pretrained encoder and ERASER movies:
#   scripts/make_movies_model.sh BACKBONE [DATA]
# BACKBONE is sentence-transformers/all-MiniLM-L6-v2 or a folder that holds it; DATA a folder or .tar.gz of
# ERASER movies, by default the copy that `rationale data fetch movies` keeps. About an hour and a half on one CPU core
# with bf16; stopped, it goes on where it was.
set -eu
backbone=$1
data=${2:+--data $2}

# shellcheck disable=SC2086
rationale train dense --dataset movies $data --backbone "$backbone" --epochs 2 --lr 1e-4 --batch-size 16 \
    --max-length 510 --keep-epochs 2 --out models/movies-dense
# shellcheck disable=SC2086
rationale train adapler --dataset movies $data --dense models/movies-dense --predictor-epochs 1 --epochs 0 \
    --hard-epochs 4 --speedup 5.4 --predictor-lr 1e-3 --hard-lr 5e-5 --distill 0.7 --batch-size 16 \
    --target human+gradient_x_input --saliency-epochs 1 --out models/movies-adapler
rationale compress --model models/movies-adapler --out rationale/movies_model
