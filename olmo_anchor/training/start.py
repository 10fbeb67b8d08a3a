"""What a run takes its weights from: a checkpoint of ours, or a Hugging Face model.

``--load-path`` names either: a run's save folder or a ``stepN`` folder in it; a folder that
``save_pretrained`` or ``olmo-anchor export`` wrote; ``hf://allenai/OLMo-2-0425-1B`` on the hub.
"""

from __future__ import annotations

from pathlib import Path

import orjson
from olmo_core.nn.hf import load_hf_model
from olmo_core.nn.hf.config import get_hf_config
from olmo_core.nn.transformer import Transformer, TransformerConfig
from tokenizers import Tokenizer

from olmo_anchor.encoders import SAMPLE
from olmo_anchor.errors import InputError
from olmo_anchor.tokenizer import AnchorTokenizer

__all__ = ["HUB", "check_hugging_face", "is_hugging_face", "load_hugging_face", "local_folder"]

HUB = "hf://"
_FACTS = (
    *("model_type", "hidden_size", "intermediate_size", "num_hidden_layers"),
    *("num_attention_heads", "num_key_value_heads", "rms_norm_eps", "tie_word_embeddings"),
)


def is_hugging_face(load_path: str) -> bool:
    """Whether it names a Hugging Face model and no checkpoint of ours."""
    if load_path.startswith(HUB):
        return True
    try:
        return "architectures" in orjson.loads((Path(load_path) / "config.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return False


def local_folder(load_path: str) -> Path:
    """The folder of a Hugging Face model; one on the hub is downloaded into the hub's cache.

    :raises InputError: when the hub has no such model, or cannot be reached.
    """
    if not load_path.startswith(HUB):
        return Path(load_path)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name, _, revision = load_path.removeprefix(HUB).partition("@")
    try:
        found = snapshot_download(
            name, revision=revision or None, allow_patterns=["*.json", "*.safetensors"]
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{load_path}: cannot be fetched from the hub: {reason}. With the model in a folder of "
            "this machine, name that as --load-path"
        ) from None
    return Path(found)


def check_hugging_face(
    folder: Path, model: TransformerConfig, tokenizer: AnchorTokenizer | None
) -> None:
    """Compare a Hugging Face model with what is to be trained; no weights are read.

    :raises InputError: naming every field of the architecture that differs, or when its tokenizer
        gives other ids than that of the data.
    """
    theirs = orjson.loads((folder / "config.json").read_bytes())
    ours = get_hf_config(model.build(init_device="meta")).to_dict()
    # Absent where it is the default of the architecture.
    changed = [
        f"{name} {theirs[name]!r} there, {ours[name]!r} here"
        for name in _FACTS
        if name in theirs and theirs[name] != ours[name]
    ]
    bases = [_rope_theta(config) for config in (theirs, ours)]
    if bases[0] != bases[1]:
        changed.append(f"rope_theta {bases[0]} there, {bases[1]} here")
    if changed:
        raise InputError(
            f"{folder}: is another model than this recipe's: {'; '.join(changed)}; take the recipe "
            "of its size"
        )
    if tokenizer is not None and (folder / "tokenizer.json").is_file():
        other = Tokenizer.from_file(str(folder / "tokenizer.json"))
        control = {name: tokenizer.special(name) for name in tokenizer.control_strings}
        same = {name: other.token_to_id(name) for name in control} == control
        for text in SAMPLE:
            ids = other.encode(text, add_special_tokens=False).ids
            same &= ids == tokenizer.encode(text)
        if not same:
            raise InputError(
                f"{folder}: its tokenizer gives other ids than that of the data; tokenize the data "
                f"with --tokenizer {folder}"
            )


def _rope_theta(config: dict[str, object]) -> object:
    nested = config.get("rope_parameters")
    return config.get("rope_theta") or (
        nested.get("rope_theta") if isinstance(nested, dict) else None
    )


def load_hugging_face(folder: Path, model: Transformer) -> None:
    """Overwrite a model's weights, sharded or not, by ``olmo_core.nn.hf.load_hf_model``.

    A vocabulary that was padded to fewer rows there than here is filled up as transformers does.
    """
    assert model.embeddings is not None
    state = model.state_dict()
    load_hf_model(folder, state, num_embeddings=model.vocab_size)
    model.load_state_dict(state)
