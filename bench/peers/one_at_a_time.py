"""The original sample's loop: one image after another is fetched, decoded, embedded and stored.

Run in the worker's environment. Preprocessing is the sample's own, by MXNet's array functions (sample-1).
"""

from __future__ import annotations

import argparse
import io
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import mxnet as mx
from mxnet import nd
from mxnet.gluon.model_zoo import vision
from PIL import Image

MEAN = nd.array([0.485, 0.456, 0.406])
DEVIATION = nd.array([0.229, 0.224, 0.225])


def network(weights: Path) -> Any:
    """Gluon's resnet18_v2 up to its classifier."""
    whole = vision.resnet18_v2()
    whole.load_parameters(str(weights), allow_missing=True)
    return whole.features


def preprocess(data: bytes) -> Any:
    """(1, 3, 244, 224): the sample passes (224, 244) to a function that takes (width, height)."""
    image = nd.array(Image.open(io.BytesIO(data)).convert("RGB"))
    resized = mx.image.resize_short(image, 224).astype("float32")
    cropped, _ = mx.image.center_crop(resized, (224, 244))
    normalised = mx.image.color_normalize(cropped / 255, mean=MEAN, std=DEVIATION)
    return nd.transpose(normalised, (2, 0, 1)).expand_dims(0)


def main() -> None:
    """Embed the objects whose keys stand in a file, a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--table", required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--keys", type=Path, required=True)
    options = parser.parse_args()
    features = network(options.weights)
    s3 = boto3.client("s3")
    table = boto3.resource("dynamodb").Table(options.table)
    for key in options.keys.read_text().splitlines():
        data = s3.get_object(Bucket=options.bucket, Key=key)["Body"].read()
        vector = features(preprocess(data)).asnumpy()[0]
        table.put_item(
            Item={
                "ImageId": key,
                "Created": datetime.now().isoformat(),
                "Vector": vector.tobytes(),
                "Dimension": vector.size,
                "DataType": str(vector.dtype),
            }
        )


if __name__ == "__main__":
    main()
