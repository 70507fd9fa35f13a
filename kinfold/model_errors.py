"""What may go wrong with the files of match models."""

from __future__ import annotations


class ModelsError(Exception):
    """An operational failure of the models' folder; no value, no driver's text.

    ModelsError
    ├── ModelUnknown   no model, or more than one, goes by this name
    ├── ModelRefused   a file is not what its name says, or not a model of this version
    └── ModelsUnusable the folder cannot be read or written
    """


class ModelUnknown(ModelsError):
    """No model goes by this name, or several do."""


class ModelRefused(ModelsError):
    """A model's file is not what its name says, or is damaged, or belongs to other keys."""


class ModelsUnusable(ModelsError):
    """The models' folder cannot be read or written."""
