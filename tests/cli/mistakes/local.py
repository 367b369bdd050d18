"""Photos, weights and the local AWS on this machine."""

from __future__ import annotations

from typing import Final

from tests.cli.mistakes.case import Mistake
from tests.cli.mistakes.scenes import circular_link, deep_folder, files, taken_port, without, without_node

LOCAL: Final = (
    Mistake(
        "stepvec local run Urlaub",
        "a folder that is not there",
        "Urlaub does not exist.",
        "Give photos, or folders of photos.",
    ),
    Mistake(
        "stepvec local run empty",
        "an empty folder",
        "There are no photos in these paths.",
        "Photos end in apng, avif, bmp, dib, gif, heic, heif, jfif, jpe, jpeg, jpg, jxl, png, tif, tiff, webp.",
    ),
    Mistake(
        "stepvec local run documents",
        "a folder without photos",
        "There are no photos in these paths.",
        "Photos end in apng, avif, bmp, dib, gif, heic, heif, jfif, jpe, jpeg, jpg, jxl, png, tif, tiff, webp.",
    ),
    Mistake(
        "stepvec local run letter.txt",
        "a file that is no photo",
        "letter.txt does not end like an image.",
        "Images end in apng, avif, bmp, dib, gif, heic, heif, jfif, jpe, jpeg, jpg, jxl, png, tif, tiff, webp. Say what else is one with --suffix.",
    ),
    Mistake(
        "stepvec local run round",
        "a folder of links that lead nowhere",
        "There are no photos in these paths.",
        "Photos end in apng, avif, bmp, dib, gif, heic, heif, jfif, jpe, jpeg, jpg, jxl, png, tif, tiff, webp.",
        scene=circular_link,
    ),
    Mistake(
        "stepvec local run deep",
        "folders in folders in folders",
        "The path of 'deep/yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy... is 1,223 bytes long as a key.",
        "A key has at most 1,024: give a folder further down.",
        scene=deep_folder,
    ),
    Mistake(
        "stepvec local run holiday --precision int8",
        "a precision of another engine",
        "Engine mxnet computes in float32 only, not in int8.",
        "Use engine openvino for it.",
    ),
    Mistake(
        "stepvec local run holiday --suffix '*.jpg'",
        "a pattern instead of a suffix",
        "Suffixes has '*.jpg'.",
        'Name suffixes beside those of images, such as ["heif", "raw"], "(none)" for keys without one, or "*" for all keys.',
    ),
    Mistake(
        "stepvec local up --schedule 'every day'",
        "a schedule in words",
        "'every day' is not a schedule.",
        'Write "rate(1 day)" or "cron(0 3 * * ? *)": minutes, hours, day of month, month, day of week, year.',
    ),
    Mistake(
        "stepvec local up --schedule 'every day' --paths photos",
        "a schedule in words, with paths",
        "'every day' is not a schedule.",
        'Write "rate(1 day)" or "cron(0 3 * * ? *)": minutes, hours, day of month, month, day of week, year.',
    ),
    Mistake(
        "stepvec local up --schedule 'rate(1 minute)'",
        "a schedule without paths",
        "--schedule needs --paths: what the scheduled runs embed.",
        "See: stepvec local up --help",
        2,
    ),
    Mistake(
        "stepvec local up --paths photos",
        "paths without a schedule",
        "--paths is what scheduled runs embed: give --schedule too.",
        "See: stepvec local up --help",
        2,
    ),
    Mistake(
        "stepvec local up --upload-window 1",
        "a window without a trigger",
        "--upload-window is for --upload-trigger: give that too.",
        "See: stepvec local up --help",
        2,
    ),
    Mistake(
        "stepvec local up --schedule 'rate(2 minute)' --paths photos",
        "a schedule in another grammar",
        "'rate(2 minute)' is not a schedule.",
        'Write "rate(1 day)" or "cron(0 3 * * ? *)": minutes, hours, day of month, month, day of week, year.',
    ),
    Mistake(
        "stepvec local up --upload-window 900",
        "a window that is too long",
        "Invalid value for '--upload-window': It should be less than or equal to 300",
        "See: stepvec local up --help",
        2,
    ),
    Mistake(
        "stepvec local up --port 70000",
        "a port that there is not",
        "Invalid value for '--port': It should be less than or equal to 65535",
        "See: stepvec local up --help",
        2,
    ),
    Mistake(
        "stepvec local up --port PORT",
        "a port that another program has",
        "Port PORT of 127.0.0.1 cannot be listened on: Address already in use.",
        "Choose another port, or none for any that is free.",
        scene=taken_port,
    ),
    Mistake(
        "stepvec view --port PORT",
        "a page at a port that another program has",
        "Port PORT of 127.0.0.1 cannot be listened on: Address already in use.",
        "Choose another port, or none for any that is free.",
        scene=taken_port,
    ),
    Mistake(
        "stepvec local up --detach --port PORT",
        "a port that another program has, in the background",
        "Port PORT of 127.0.0.1 cannot be listened on: Address already in use.",
        "Choose another port, or none for any that is free.",
        scene=taken_port,
    ),
    Mistake(
        "stepvec local up --name my/aws",
        "a name with a slash",
        "'my/aws' cannot be the name of a local AWS.",
        "Use up to 40 letters, digits, dots, hyphens and underscores, a letter or digit first.",
    ),
    Mistake(
        "stepvec local down", "no local AWS is up", "No local AWS is up.", "Start one with `stepvec local up --detach`."
    ),
    Mistake(
        "stepvec local env --name photos",
        "another local AWS than the one that is up",
        "No local AWS named 'photos' is up.",
        "Start it with `stepvec local up --detach --name photos`.",
    ),
    Mistake(
        "stepvec local exec -- aws s3 ls",
        "a command for a local AWS that is not up",
        "No local AWS is up.",
        "Start one with `stepvec local up --detach`.",
    ),
    Mistake(
        "stepvec local exec", "no command", "Missing argument '-- COMMAND...'.", "See: stepvec local exec --help", 2
    ),
    Mistake(
        "stepvec weights --from nowhere.params",
        "weights that are not there",
        "file nowhere.params: nowhere.params cannot be read: No such file or directory.",
        "Give the path of a weights file.",
    ),
    Mistake(
        "stepvec weights --from letter.txt --architecture resnet18_v2",
        "a letter instead of weights",
        "file letter.txt: letter.txt breaks off in the header (at byte 0 of 4).",
        "Get the file again; it must be a dense, named MXNet .params file.",
    ),
    Mistake(
        "stepvec weights --from empty.params",
        "weights that are empty",
        "file empty.params: empty.params breaks off in the header (at byte 0 of 0).",
        "Get the file again; it must be a dense, named MXNet .params file.",
        scene=files(empty__params=""),
    ),
    Mistake(
        "stepvec weights --from half.zip",
        "half an archive",
        "file half.zip: half.zip is a damaged zip file: File is not a zip file.",
        "Get it again.",
        scene=files(half__zip=b"PK\x03\x04\x14\x00"),
    ),
    Mistake(
        "stepvec weights --from s3:/bucket/weights.params",
        "an S3 URI with a slip",
        "file weights.params: s3:/bucket/weights.params cannot be read: No such file or directory.",
        "Give the path of a weights file.",
    ),
    Mistake(
        "stepvec calibrate documents --model CHECKOUT/build/model",
        "a folder without photos",
        "There are no photos in these paths.",
        "Photos end in apng, avif, bmp, dib, gif, heic, heif, jfif, jpe, jpeg, jpg, jxl, png, tif, tiff, webp.",
    ),
    Mistake(
        "stepvec calibrate holiday --model empty",
        "a folder without a model",
        "There is no model in empty: no empty/model.json.",
        "Make the model with `stepvec weights` (`make setup` does so).",
    ),
    Mistake(
        "stepvec local run one.jpg",
        "a machine without Node.js, and a checkout that was never set up with PyPI's",
        "There is no Node.js, which CDK needs: PyPI's is not in .venv.",
        "Run `make setup`.",
        scene=without_node,
    ),
    Mistake(
        "stepvec local run holiday",
        "a checkout in which the worker was never set up: no MXNet",
        "The Python environment of the worker is missing (.venv-worker/bin/python).",
        "Run `make setup`.",
        scene=without(".venv-worker"),
        as_process=True,
    ),
)
