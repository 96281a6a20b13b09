"""What `antecache replay` is told of prediction: a server's config file, a model, models.

Of a config file the settings that say how to predict are used, and the rest, which is
about a server, is only checked. Flags are stronger than the file, the file than a
server's own defaults.

What this file does not do: understand flags (`replay_command.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from antecache.predictor import model_file
from antecache.predictor.challenge import SETTINGS
from antecache.predictor.model_file import ModelError
from antecache.server.config import Config
from antecache.server.config_reading import load
from antecache.server.errors import ConfigError
from antecache.server.replay_setup import Advice


def read_config(path: Path | None) -> Config:
    """The settings of a file, or the defaults; no environment, which is a server's.

    Raises ConfigError.
    """
    return Config() if path is None else load(path)


def advice_of(
    config: Config, predictors: Sequence[str], *, model: Path | None, models: str | None
) -> Advice:
    """Rules, patterns and models of a config, and what flags say instead.

    Raises ConfigError for a name that is no setting of `models`, and for a model that is no
    use to one of the `predictors`.
    """
    if models is not None and models not in SETTINGS:
        raise ConfigError(f"--models: '{models}' is none of {', '.join(SETTINGS)}")
    path = str(model) if model is not None else config.model
    if path:
        _check(path, predictors)
    return Advice(
        rules=tuple(config.rules),
        never=tuple(config.never_predict.split()),
        precision_floor=config.precision_floor,
        models=models if models is not None else config.models,
        model=path,
    )


def _check(path: str, predictors: Sequence[str]) -> None:
    try:
        made_by = model_file.load(Path(path)).predictor
    except ModelError as error:
        raise ConfigError(f"model: {error}") from None
    for name in predictors:
        if name not in ("none", made_by):
            raise ConfigError(
                f"model: {path}: was made by predictor '{made_by}'; '{name}' cannot go on from it"
            )
