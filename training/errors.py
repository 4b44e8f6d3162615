"""The errors of training that a person can act on."""


class TrainingError(Exception):
    """Something that whoever started the command can put right; the message says what to change."""


class DataError(TrainingError):
    """The pictures, the manifest or the labels cannot be used as they are."""


class WeightsError(TrainingError):
    """The backbone's weights are missing, or belong to another network."""


class ExportError(TrainingError):
    """The model cannot be exported under the contract, or was exported wrongly."""
