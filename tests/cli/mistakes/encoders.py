"""Encoders of users' own: ONNX files, and the files that say how their images are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from local_pipeline.encoder_inspection import make_encoder_model
from stepvec.weights.own_encoder import EncoderRequest
from testkit.onnx_files import WRONG, encoder, uneven_encoder, weightless_encoder
from tests.cli.mistakes.case import Mistake, Scene
from tests.cli.mistakes.world import World
from tests.local.conftest import photo

_WHOLE: Final = "Give the whole file that the export wrote, not a pickle, an archive or a part."
_FORMS: Final = "docs/encoders.md has the forms of it, and one of your own says it in a few lines."


def _file(name: str, preparation: str = '{"resize": 256, "crop": 224}') -> Scene:
    """The ONNX file of this name, and `p.json`, which says how images are made."""

    @contextmanager
    def scene(world: World) -> Iterator[Mapping[str, str]]:
        (world.folder / name).write_bytes(WRONG.get(name, encoder)())
        (world.folder / "p.json").write_text(preparation)
        yield {}

    return scene


def _wrong(name: str, did: str, said: str, remedy: str, options: str = "") -> Mistake:
    command = f"stepvec weights --from {name} --preprocess p.json --out model{options}"
    return Mistake(command, did, said, remedy, scene=_file(name))


def _unclear(preparation: str, did: str, said: str) -> Mistake:
    command = "stepvec weights --from mine.onnx --preprocess p.json --out model"
    return Mistake(command, did, f"p.json: {said}", _FORMS, scene=_file("mine.onnx", preparation))


def _model(name: str, data: bytes) -> Scene:
    """The model `name`, of an encoder of one's own, and 32 photos in `photos`."""

    @contextmanager
    def scene(world: World) -> Iterator[Mapping[str, str]]:
        file, preparation = world.folder / f"{name}.onnx", world.folder / "p.json"
        file.write_bytes(data)
        preparation.write_text('{"resize": 256, "crop": 224}')
        request = EncoderRequest(name, str(file), file.name, str(preparation), "", "none", l2=False)
        make_encoder_model(request, world.folder / name, "a test", "none")
        (world.folder / "photos").mkdir()
        for number in range(32):
            (world.folder / "photos" / f"{number}.jpg").write_bytes(photo(number))
        yield {}

    return scene


ENCODERS: Final = (
    Mistake(
        "stepvec calibrate photos --model uneven",
        "an encoder whose neighbours suffer in int8",
        "uneven loses its neighbours in int8: with any of its 1 layers, fewer than 97% of the photos keep theirs, or "
        "the mean cosine is below 0.99.",
        "Use it in float32, which needs no engine and no precision.",
        scene=_model("uneven", uneven_encoder()),
    ),
    Mistake(
        "stepvec calibrate photos --model means",
        "an encoder without anything to compute in int8",
        "means has no convolution and no linear layer with float32 weights: nothing could compute in int8.",
        "Use it in float32, which needs no engine and no precision.",
        scene=_model("means", weightless_encoder()),
    ),
    Mistake(
        "stepvec weights --from mine.onnx",
        "an ONNX file, and not how its images are made",
        "An encoder of your own needs both: --from FILE.onnx and --preprocess FILE.json.",
        "See: stepvec weights --help",
        2,
    ),
    Mistake(
        "stepvec weights --from a.params --l2",
        "an option of encoders with other weights",
        "--l2 is for an encoder of your own: --from FILE.onnx --preprocess FILE.json.",
        "See: stepvec weights --help",
        2,
    ),
    Mistake(
        "stepvec weights --from nowhere.onnx --preprocess p.json --out model",
        "an ONNX file that is not there",
        "nowhere.onnx cannot be read: No such file or directory.",
        "Give the path of an ONNX file.",
        scene=_file("mine.onnx"),
    ),
    Mistake(
        "stepvec weights --from mine.onnx --preprocess nowhere.json --out model",
        "a preprocessing that is not there",
        "nowhere.json cannot be read: No such file or directory.",
        "Give the file that says how images are made, a preprocessor_config.json for example.",
        scene=_file("mine.onnx"),
    ),
    Mistake(
        "stepvec weights --from mine.onnx --preprocess p.json --name resnet18_v2 --out model",
        "a name that is another network's",
        "An encoder cannot be named 'resnet18_v2'.",
        "Use up to 40 of a to z, 0 to 9, '.', '-' and '_', and no name of Stepvec's own networks.",
        scene=_file("mine.onnx"),
    ),
    _wrong(
        "text.onnx",
        "a text model",
        "text.onnx takes 3 inputs, input_ids, attention_mask, token_type_ids: an image encoder has one.",
        "Export the part that sees images by itself (of CLIP, the vision model).",
    ),
    _wrong(
        "dynamic.onnx",
        "a file that leaves all four axes open",
        "dynamic.onnx takes image (a, b, c, d), which does not say where the channels are.",
        'Say it in the preprocessing: "layout": "NCHW", or "NHWC".',
    ),
    _wrong(
        "nan.onnx",
        "weights of which one is not a number",
        "nan.onnx gives numbers that are not finite (NaN or infinite).",
        "Its weights are damaged, or its preprocessing is another's: compare with where it comes from.",
    ),
    _wrong(
        "custom.onnx",
        "an operator of its authors' own",
        "custom.onnx has operators that are not ONNX's own: Flatten of com.example.",
        "Export it without custom operators, and without the fusions of a runtime's optimizer.",
    ),
    _wrong(
        "lie.onnx",
        "a header that says 3 GB",
        "lie.onnx is no ONNX file, or not all of one: a part says that it has 3,000,000,000 bytes, and 4 are left.",
        _WHOLE,
    ),
    _wrong(
        "two-outputs.onnx",
        "two outputs",
        "two-outputs.onnx has 2 outputs: vector, pooled.",
        "Say which: --output NAME.",
    ),
    _wrong(
        "two-outputs.onnx",
        "an output with a slip in its name",
        "two-outputs.onnx has no output 'vectr', and nothing inside it is called so.",
        "It has vector, pooled. Close to yours: vector.",
        " --output vectr",
    ),
    _wrong(
        "grey.onnx",
        "a network for grey images",
        "grey.onnx takes image (batch, 1, 224, 224): images of 1 channel.",
        "Images come as red, green and blue: give a network that takes three channels.",
    ),
    _wrong(
        "external.onnx",
        "weights in another file",
        "The weights of external.onnx lie in another file (external data).",
        "Save it as one file: onnx.save(onnx.load(PATH), NEW_PATH), or export with external_data=False.",
    ),
    _wrong(
        "letter.onnx",
        "a letter",
        "letter.onnx is no ONNX file, or not all of one: no message: a field of kind 4 at byte 1.",
        _WHOLE,
    ),
    _wrong(
        "half.onnx",
        "a download that broke off",
        "half.onnx is no ONNX file, or not all of one: a part says that it has 98,551 bytes, and 29,994 are left.",
        _WHOLE,
    ),
    _wrong(
        "maps.onnx",
        "an output of many vectors an image",
        "The output active of maps.onnx is 1 x 8 x 7 x 7: several vectors an image.",
        "Say which makes the image's: --pooling first (a transformer's class token), or mean.",
    ),
    _wrong("old.onnx", "an old export", "old.onnx is of opset 6.", "Export it with opset_version=7 or more."),
    _wrong(
        "random.onnx",
        "a network that was exported as it trains",
        "random.onnx gives other vectors for the same images each time.",
        "Export it for inference (model.eval()): dropout and random numbers have no place in it.",
    ),
    _wrong(
        "same.onnx",
        "a network that sees nothing",
        "same.onnx gives different images the same vector.",
        "Say another output, or check the preprocessing: its weights may be missing.",
    ),
    _wrong(
        "bomb.onnx",
        "a file of 100 KB that wants 60 GB",
        "bomb.onnx takes more memory to compute one image than a file of its size may.",
        "It may be damaged, or made to harm: get it again from where it comes from.",
    ),
    _wrong(
        "small.onnx",
        "the preprocessing of another network",
        "small.onnx takes images of 64 x 64, and its preprocessing makes them 224 x 224.",
        "Give the preprocessing that belongs to the file.",
    ),
    _unclear(
        '{"size": 224}',
        "a preprocessing of no known form",
        "it has neither resize (our own form), image_processor_type (transformers) nor input_size (timm).",
    ),
    _unclear(
        '{"do_resize": true, "size": {"longest_edge": 224}}',
        "images of all shapes",
        "size is {'longest_edge': 224}; height and width are understood, or shortest_edge.",
    ),
    _unclear('{"resize": 256, "crop": 224, "sharpen": 2}', "a step that there is not", "there is no 'sharpen'."),
    _unclear(
        '{"resize": 64, "crop": 64}', "small images", "the network would see (64, 64) pixels; 224 to 518 are taken."
    ),
)
