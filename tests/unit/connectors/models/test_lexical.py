"""The lexical stand-in counts as scikit-learn's HashingVectorizer does."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer

from connectors.models.lexical import _SETTINGS, LexicalEmbedder
from connectors.models.text import prepare
from schemas.settings.sections import ModelSettings


@given(
    st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4),
    st.sampled_from([1, 7, 64, 1024]),
)
@example(["가비지 컬렉션은 무엇인가요?", "İstanbul\u2028 \x1c a", ""], 64)
def test_the_vectors_are_those_of_the_hashing_vectorizer(texts: list[str], dimensions: int) -> None:
    """The same numbers in every place, so that the model id may stay."""
    ours = LexicalEmbedder(ModelSettings(name="lexical", dimensions=dimensions))
    theirs = HashingVectorizer(**_SETTINGS, n_features=dimensions, norm="l2", dtype=np.float32)
    expected = theirs.transform(prepare(texts, None)).toarray()
    counted = expected.any(axis=1)
    found = ours.encode_documents(texts)
    np.testing.assert_allclose(found[counted], expected[counted], atol=1e-6)
    # A text without n-grams still has a direction.
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
