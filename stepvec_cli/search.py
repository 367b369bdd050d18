"""`stepvec search`: the images that are most like a photo, or like an image that is embedded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from stepvec.stack_names import DATA_STACK, PIPELINE_STACK
from stepvec_cli.options import AsJson, DataStack, PipelineStack
from stepvec_cli.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepvec.client.api import Stepvec
    from stepvec.client.pictures import Reader


S3_VECTORS: Final = Path("s3vectors")
"""What --index names instead of a folder: a folder of that name is named by its whole path."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An image that was found, and the cosine of its vector and the query's."""

    key: str
    image_id: str
    similarity: float


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """What `search --json` prints. `recall` is the share of the 10 nearest that such a search finds; 1 if exact.

    It is null for an index of S3 Vectors, which does not say.
    """

    query: str
    model: str
    recall: float | None
    hits: tuple[Hit, ...]


def search(
    query: Annotated[
        str, typer.Argument(metavar="PHOTO|KEY", help="A photo on this machine, or the key of an embedded image.")
    ],
    index: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER|s3vectors",
            help="The export with its index, as `stepvec index` made it; s3vectors: the deployment's in S3 Vectors.",
        ),
    ] = Path("vectors"),
    top: Annotated[int, typer.Option(min=1, max=1000, metavar="COUNT", help="Images to find.")] = 20,
    by_key: Annotated[bool, typer.Option("--key", help="It is a key, even if there is a file of that name.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with pictures.")] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
    photos: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="The pictures' photos on this machine, instead of the bucket."),
    ] = None,
    as_json: AsJson = False,
    data_stack: DataStack = DATA_STACK,
    pipeline_stack: PipelineStack = PIPELINE_STACK,
) -> None:
    """Find the images that are most like a photo.

    The photo is embedded on this machine by the worker's own code; it is refused where this checkout has another model
    than the vectors are of. Where there is no index, the table of the deployment is read through, if it has fewer than
    100,000 rows. With --index s3vectors the deployment's index of S3 Vectors is asked, for up to 100 images. Similarity
    is the cosine: 1 for the same picture.

    Examples:
        stepvec search dress.jpg
        stepvec search photos/dress/17.jpg --top 5 --open
        stepvec search dress.jpg --index vectors --json | jq -r '.hits[].key'
        stepvec search dress.jpg --index s3vectors
    """
    from stepvec_cli.answers import print_json
    from stepvec_cli.views.picture_pages import checked_page

    target = checked_page("search", html, open_page=open_page)
    if index == S3_VECTORS:
        found, pictures_of = _of_s3_vectors(data_stack, pipeline_stack, query, top, by_key=by_key)
    elif index.exists():
        found, pictures_of = _of_index(index, query, top, by_key=by_key)
    else:
        found, pictures_of = _of_table(data_stack, pipeline_stack, query, top, by_key=by_key, index=index)
    if as_json:
        print_json(found)
    else:
        for hit in found.hits:
            typer.echo(f"{hit.similarity:.4f}  {printable(hit.key)}")
    if target:
        own = Path(query) if _is_photo(query, by_key=by_key) else None
        _write_page(target, found, own, photos, pictures_of, open_page=open_page)


def _write_page(
    target: Path,
    found: SearchAnswer,
    own: Path | None,
    photos: list[Path] | None,
    pictures_of: Callable[[], Reader],
    *,
    open_page: bool,
) -> None:
    """The page of what was found, the query first: `own` is its file if it is a photo of this machine."""
    from local_pipeline.pictures import from_folders
    from stepvec_cli.views.alike_page import Shown
    from stepvec_cli.views.picture_pages import write_page

    row = [Shown(found.query, "looked for", first=True)]
    row += [Shown(hit.key, f"{hit.similarity:.4f}") for hit in found.hits]
    read = from_folders(photos) if photos else pictures_of()

    def read_also_own(key: str) -> bytes | None:
        return own.read_bytes() if own and key == found.query else read(key)

    title = f"The {len(found.hits)} images most like {found.query}"
    write_page(target, title, f"Cosines of vectors of {found.model}.", [row], read_also_own, open_page=open_page)


def _is_photo(query: str, *, by_key: bool) -> bool:
    return not by_key and Path(query).is_file()


def _of_index(folder: Path, query: str, top: int, *, by_key: bool) -> tuple[SearchAnswer, Callable[[], Reader]]:
    from local_pipeline.query import embed_query
    from stepvec.client.pictures import bucket_reader
    from stepvec.errors import InvalidInputError
    from stepvec.neighbours.exact import NOBODY
    from stepvec.neighbours.index import Index

    index = Index.open(folder)
    if _is_photo(query, by_key=by_key):
        found = index.nearest(embed_query(Path(query), index.model)[None], top)
    elif (row := index.row_of(query)) is not None:
        found = index.nearest_of_row(row, top)
    else:
        raise InvalidInputError(
            f"{printable(query)} is no file here, and no key in the index of {folder}.",
            remedy="Give the path of a photo, or a key as `stepvec search` prints it.",
        )
    pairs = zip(found.rows[0].tolist(), found.similarities[0].tolist(), strict=True)
    images = [(index.row(row), similarity) for row, similarity in pairs if row != NOBODY]
    hits = tuple(Hit(image.key, image.image_id, round(min(similarity, 1.0), 4)) for image, similarity in images)
    answer = SearchAnswer(query, index.model, round(index.recall, 4), hits)
    return answer, lambda: bucket_reader(index.manifest.bucket)


def _of_table(
    data_stack: str, pipeline_stack: str, query: str, top: int, *, by_key: bool, index: Path
) -> tuple[SearchAnswer, Callable[[], Reader]]:
    from stepvec.client.api import Stepvec
    from stepvec.client.pictures import from_bucket
    from stepvec.neighbours.table import nearest_in_batches
    from stepvec_cli.console import tell

    pipeline = Stepvec(data_stack=data_stack, pipeline_stack=pipeline_stack)
    deployment = pipeline.deployment
    tell(f"There is no folder {index}: reading the table {deployment.table}.")
    vector, without = _query_of(pipeline, query, by_key=by_key)
    images = nearest_in_batches(pipeline.vectors(), vector, top, without=without)
    hits = tuple(Hit(image.key, image.image_id, round(min(image.similarity, 1.0), 4)) for image in images)
    answer = SearchAnswer(query, pipeline.model, 1.0, hits)
    return answer, lambda: from_bucket(deployment.client, deployment.image_bucket)


def _of_s3_vectors(
    data_stack: str, pipeline_stack: str, query: str, top: int, *, by_key: bool
) -> tuple[SearchAnswer, Callable[[], Reader]]:
    from stepvec.adapters.vector_index import VectorIndex
    from stepvec.client.api import Stepvec
    from stepvec.client.pictures import from_bucket
    from stepvec.errors import ConfigurationError, InvalidInputError
    from stepvec.limits import VECTORS_PER_QUERY

    if top > VECTORS_PER_QUERY:
        raise InvalidInputError(
            f"--top is {top}, and S3 Vectors gives {VECTORS_PER_QUERY} at most.",
            remedy=f"Use --top {VECTORS_PER_QUERY}, or an export with its index.",
        )
    pipeline = Stepvec(data_stack=data_stack, pipeline_stack=pipeline_stack)
    deployment = pipeline.deployment
    if not deployment.vector_index:
        raise ConfigurationError(
            "The deployment has no index of S3 Vectors.",
            remedy="Deploy it with the setting vector_index: s3vectors, and run it once; or search in an export.",
        )
    vector, without = _query_of(pipeline, query, by_key=by_key)
    index = VectorIndex(deployment.client("s3vectors"), deployment.vector_index)
    # One more, since an image finds itself.
    wanted = min(top + bool(without), VECTORS_PER_QUERY)
    found = index.nearest(vector.tolist(), top=wanted, model=pipeline.model)
    others = [(entry, similarity) for entry, similarity in found if entry.image_id != without][:top]
    hits = tuple(Hit(entry.key, entry.image_id, round(min(similarity, 1.0), 4)) for entry, similarity in others)
    answer = SearchAnswer(query, pipeline.model, None, hits)
    return answer, lambda: from_bucket(deployment.client, deployment.image_bucket)


def _query_of(pipeline: Stepvec, query: str, *, by_key: bool) -> tuple[Any, str]:
    """The query's vector, and the id of the image that it is; "" for a photo of this machine."""
    from local_pipeline.query import embed_query
    from stepvec.errors import InvalidInputError

    if _is_photo(query, by_key=by_key):
        return embed_query(Path(query), pipeline.model), ""
    try:
        return pipeline.vector(query), query
    except InvalidInputError as error:
        raise InvalidInputError(
            f"{printable(query)} is no file here, and no image id in the table.",
            remedy="Give the path of a photo, or the id of an embedded image.",
        ) from error
