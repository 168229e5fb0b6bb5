"""What is kept about a model in `vectrue.models`.

It is kept under the id that is stored beside each of the model's vectors.

Hazard: two records with one id describe one model. A field that could differ between
machines, such as a path, does not belong here.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

from schemas.rows.document import BLANK_WITHIN

LONGEST_TOKEN: Final = 32
"""Characters of a text that one token stands for at most: SentencePiece makes none of
more than 16 (trainer_spec max_sentencepiece_length), the word pieces of BERT's
vocabularies have up to 18; the rest is for white space between.
"""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One model, as it describes itself without its weights in memory.

    None: it has no such thing.
    """

    model: str
    """The model id."""
    name: str
    """Repository, or base name of a folder."""
    revision: str
    """Whole commit, digest of a folder's files, or version of a package."""
    dimensions: int
    pooling: str | None
    """How vectors of tokens become one: `cls`, `mean`."""
    max_tokens: int | None
    """Tokens after which a text is cut."""
    fingerprint: str
    """sha256, in hex, of everything that changes the numbers; the id ends in its first
    eight digits.
    """

    @property
    def characters(self) -> int:
        """How much of a text is read from the database, in characters.

        It is what the model may use, and enough to see that the text is blank.
        """
        # A model without a limit of its own uses as much as makes a text blank.
        return max(BLANK_WITHIN, (self.max_tokens or 0) * LONGEST_TOKEN)

    def to_json(self) -> dict[str, Any]:
        """The fields by name, which are the columns of the table as well."""
        return asdict(self)
