"""What an index is, whatever it is called, and how it is carried over to another
column.
"""

import pytest

from schemas.rows.index_definition import Definition, Vectors
from schemas.rows.table import TableName

OLD = Vectors("embedding", 768, "a@1")
NEW = Vectors("embedding_v2", 1024, "b@2")


def index(tail: str, *, head: str = "CREATE INDEX idx ON public.questions") -> Definition:
    """A definition as the server prints it with an empty search path."""
    return Definition(f"{head} USING {tail}")


def carried(tail: str, old: Vectors = OLD, new: Vectors = NEW) -> str:
    """The tail of a definition carried over."""
    return index(tail).carried(old, new).text.split(" USING ", 1)[1]


@pytest.mark.parametrize(
    ("served", "grown"),
    [
        (
            "hnsw (embedding public.vector_cosine_ops) WITH (m='16', ef_construction='64')",
            "hnsw (\"embedding_v2\" public.vector_cosine_ops) WITH (m='16', ef_construction='64')",
        ),
        (
            (
                "hnsw (((embedding)::public.halfvec(768)) public.halfvec_cosine_ops) WHERE "
                "(embedding IS NOT NULL)"
            ),
            (
                'hnsw ((("embedding_v2")::public.halfvec(1024)) public.halfvec_cosine_ops) '
                'WHERE ("embedding_v2" IS NOT NULL)'
            ),
        ),
        (
            "hnsw (((public.binary_quantize(embedding))::bit(768)) public.bit_hamming_ops)",
            'hnsw (((public.binary_quantize("embedding_v2"))::bit(1024)) public.bit_hamming_ops)',
        ),
        (
            (
                "hnsw (((public.subvector(embedding, 1, 256))::public.vector(256)) "
                "public.vector_l2_ops)"
            ),
            (
                'hnsw (((public.subvector("embedding_v2", 1, 256))::public.vector(256)) '
                "public.vector_l2_ops)"
            ),
        ),
        (
            (
                "btree (tenant, embedded_at) INCLUDE (embedding_hash) WHERE (embedding_model = "
                "'a@1'::text)"
            ),
            (
                'btree (tenant, "embedding_v2_at") INCLUDE ("embedding_v2_hash") '
                "WHERE (\"embedding_v2_model\" = 'b@2'::text)"
            ),
        ),
        (
            (
                "btree (((embedding OPERATOR(public.<->) '[1]'::public.vector) >= (0)::double "
                "precision))"
            ),
            (
                "btree (((\"embedding_v2\" OPERATOR(public.<->) '[1]'::public.vector) >= "
                "(0)::double precision))"
            ),
        ),
        (
            (
                "btree (app.embedding(embedding), ((note = 'embedding (768) a@1'::text)), "
                "(note)::app.embedding)"
            ),
            (
                "btree (app.embedding(\"embedding_v2\"), ((note = 'embedding (768) a@1'::text)), "
                "(note)::app.embedding)"
            ),
        ),
    ],
)
def test_only_what_belongs_to_the_column_is_replaced(served: str, grown: str) -> None:
    """Name, provenance, length and model change; method, classes, options, functions
    and texts stay.
    """
    assert carried(served) == grown


@pytest.mark.parametrize("name", ["m", "Vec tor", 'a"b', "임베딩", "where"])
def test_odd_names_are_found_and_quoted(name: str) -> None:
    """A column may be called like an option or a keyword, in quotes, and in any script."""
    old, new = Vectors(name, 3, "a"), Vectors(f"{name}_v2", 4, "b")
    spelt = name if name == "m" else '"' + name.replace('"', '""') + '"'
    expected = '"' + name.replace('"', '""') + '_v2"'
    options = "WITH (m='16')"
    assert carried(
        f"hnsw ({spelt} v.vector_l2_ops) {options} WHERE ({spelt} IS NOT NULL)", old, new
    ) == (f"hnsw ({expected} v.vector_l2_ops) {options} WHERE ({expected} IS NOT NULL)")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (
            "hnsw (e c.ops) WITH (m='8', ef_construction='32')",
            "hnsw (e c.ops) WITH (ef_construction='32', m='8')",
            True,
        ),
        ("hnsw (e c.ops) WITH (m='8')", "hnsw (e c.ops) WITH (m='16')", False),
        ("hnsw (e c.ops)", "ivfflat (e c.ops)", False),
        ("hnsw (e c.vector_l2_ops)", "hnsw (e c.vector_cosine_ops)", False),
        ("hnsw (e c.ops)", "hnsw (e c.ops) WHERE (e IS NOT NULL)", False),
        ("hnsw (((e)::c.vector(1024)) c.ops)", "hnsw (e c.ops)", True),
        ("hnsw (((e)::c.vector(512)) c.ops)", "hnsw (e c.ops)", False),
        ("btree (a) INCLUDE (e)", "btree (a)", False),
        ("btree (a, e)", "btree (e, a)", False),
        ("hnsw (e c.ops)", 'hnsw ("e" c.ops)', True),
    ],
)
def test_twins_are_known_by_what_they_do(one: str, other: str, same: bool) -> None:
    """Method, keys, classes, options in any order, condition and INCLUDE make an index;
    spelling does not.
    """
    of = Vectors("e", 1024, "b@2")
    assert (index(one).identity(of) == index(other).identity(of)) is same


def test_unique_is_part_of_it_and_the_name_is_not() -> None:
    """A UNIQUE index is no twin of a plain one; names, ONLY and tables do not matter."""
    plain = index("btree (embedding)")
    assert plain.identity(OLD) == index(
        "btree (embedding)", head="CREATE INDEX x ON ONLY a.b"
    ).identity(OLD)
    assert plain.identity(OLD) != index(
        "btree (embedding)", head="CREATE UNIQUE INDEX x ON a.b"
    ).identity(OLD)


def test_the_statement_quotes_what_it_names() -> None:
    """Names of any kind, a tablespace before the condition, ONLY on a table with
    partitions.
    """
    served = index(
        "btree (e) WHERE (e IS NOT NULL)", head='CREATE UNIQUE INDEX i ON ONLY "Q a"."t.t"'
    )
    assert served.table == TableName("Q a", "t.t")
    assert served.create('x"y', served.table, concurrently=False, tablespace="fast") == (
        'CREATE UNIQUE INDEX "x""y" ON ONLY "Q a"."t.t" USING btree (e) TABLESPACE "fast" '
        "WHERE (e IS NOT NULL)"
    )
    assert served.create("x", served.table, concurrently=True).startswith(
        'CREATE UNIQUE INDEX CONCURRENTLY "x" ON "Q a"."t.t" USING btree'
    )


@pytest.mark.parametrize(
    ("tail", "most"),
    [
        ("hnsw (e c.vector_cosine_ops)", 2000),
        ("ivfflat (e)", 2000),
        ("hnsw (((e)::c.halfvec(N)) c.halfvec_cosine_ops)", 4000),
        ("hnsw (((c.binary_quantize(e))::bit(N)) c.bit_hamming_ops)", 64_000),
    ],
)
def test_vectors_too_long_for_an_index_are_known(tail: str, most: int) -> None:
    """Pgvector's limits, by what the index holds."""
    for length in (most, most + 1):
        found = index(tail.replace("N", str(length))).too_long(Vectors("e", length, ""))
        assert found == (None if length == most else (length, most))
    assert index("btree (e)").too_long(Vectors("e", most + 1, "")) is None
