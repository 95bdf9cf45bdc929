"""What is written into the files themselves: the recipe, and the mark that a model made it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tools.base import Input, ToolArgs, ToolSpec

# IPTC's term for media made by a trained model; Article 50(2) of the EU's AI Act asks for such a mark.
TRAINED_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
CREATOR = "Atelier"
NONE: Mapping[str, str] = {}


def args_of(args: ToolArgs, **changed: Any) -> dict[str, Any]:
    """Give arguments as a recipe holds them: as JSON, without those that are None, some of them changed."""
    return {**args.model_dump(mode="json", exclude_none=True), **changed}


def by_content(given: Input) -> str:
    """Give how a recipe refers to an input: by its bytes, so that it holds in any library."""
    return f"sha256:{given.sha256}"


def recipe(spec: ToolSpec, args: Mapping[str, Any], trained: Mapping[str, str] = NONE) -> str:
    """Give the recipe of one thing as canonical JSON: equal recipes are equal texts.

    Args:
        spec: of the tool that makes it.
        args: the arguments that make exactly this thing.
        trained: the sha256 of weights that were trained here, by name.
    """
    named = dict.fromkeys((*spec.models(_unchecked(spec, args)), *trained))
    weights = weights_of(*named, trained=trained)
    return canonical({"tool": spec.name, "version": spec.version, "args": dict(args), "weights": weights})


def weights_of(*families: str, trained: Mapping[str, str] = NONE) -> str | None:
    """Give one hash for the weights of some families; None for none."""
    from models import registry

    return registry.weights_hash(*families, trained=trained) if families else None


def canonical(value: Any) -> str:
    """Give JSON with sorted keys and no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def xmp() -> str:
    """Give the XMP packet that says, for machines, that a trained model made the file."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        f'Iptc4xmpExt:DigitalSourceType="{TRAINED_MEDIA}" xmp:CreatorTool="{CREATOR}"/>'
        "</rdf:RDF></x:xmpmeta>"
        '<?xpacket end="r"?>'
    )


def _unchecked(spec: ToolSpec, args: Mapping[str, Any]) -> ToolArgs:
    """Give the arguments as the spec's model, unchecked: references in a recipe are hashes, not ids."""
    return spec.args.model_construct(**dict(args))
