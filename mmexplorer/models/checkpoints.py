"""What can go wrong while a checkpoint's folder is read, said in one sentence, whatever the model's family."""

from collections.abc import Iterator
from contextlib import contextmanager

from mmexplorer.errors import Refusal


@contextmanager
def said_as_refusal(label: str) -> Iterator[None]:
    """Turns what a damaged folder makes libraries raise into a Refusal; lack of memory passes as it is."""
    try:
        yield
    except (Refusal, MemoryError):
        raise
    except ImportError as error:
        raise Refusal(f"{label} needs a package that is not installed: {_first_sentence(error)}") from error
    except Exception as error:  # a damaged file fails in the JSON, safetensors, tokenizer or tensor code alike
        if isinstance(error, RuntimeError) and "memory" in str(error):
            raise  # residency makes room and tries again
        raise Refusal(f"{label} cannot be loaded, its files are damaged: {_first_sentence(error)}") from error


def _first_sentence(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0][:200].rstrip(".") + "."
