"""The command line with all its commands: those of the service, and `clickmask ui`."""

from __future__ import annotations

import gc
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Any

from ..service.cli.app import app
from ..service.cli.app import main as run
from ..service.cli.serve import require_extra, run_service, serve
from ..service.cli.serve_options import Project

if TYPE_CHECKING:
    from ..service.http.app import AppMaker

EXAMPLES = """[bold]Examples[/]

$ clickmask ui
$ clickmask ui --port 8000 --model vit_b

$ clickmask ui --project photos
"""


@wraps(serve)  # it takes all that `serve` takes, and a project
def _ui(*positional: Any, **options: Any) -> None:
    require_extra("ui", ("gradio",))
    run_service(options, _service_with_page, {"the page": "/ui", "docs": "/docs"})


_ui.__doc__ = "Click on things in the browser: the page, and the service it needs."


def _with_project(found: Signature) -> Signature:
    project = Parameter("project", Parameter.KEYWORD_ONLY, default=None, annotation=Project)
    return found.replace(parameters=[*found.parameters.values(), project])


_ui.__signature__ = _with_project(signature(serve, eval_str=True))  # pyright: ignore[reportAttributeAccessIssue]


def _service_with_page() -> AppMaker:
    gc.disable()  # Gradio makes so much, all of it to stay, that looking for what is not takes a sixth of its import
    try:
        from .mount import create_page_app
    finally:
        gc.enable()
    return create_page_app


app.command("ui", epilog=EXAMPLES)(_ui)
app.registered_commands.insert(0, app.registered_commands.pop())  # what most people come for is listed first


def main() -> None:
    """Run the command line with the arguments of this process."""
    run()
