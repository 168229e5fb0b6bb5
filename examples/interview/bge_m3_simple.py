"""Check a model in three steps: load it, embed three texts, search them.

    # The model of the settings: BGE-M3
    python -m examples.interview.bge_m3_simple
    # Another one
    python -m examples.interview.bge_m3_simple multilingual-e5-small

The exit code is 0 if the vectors can be used, 1 if something is wrong with them.
"""

import sys
from collections.abc import Sequence

from connectors.clock import SystemClock
from connectors.models import EmbeddingModel, get_embedding_model, named
from schemas.errors import VectrueError
from schemas.settings.reading import load
from schemas.settings.sections import ModelSettings
from streams.common import bisect, logs

LANGUAGES = {
    "BAAI/bge-m3": "100+ (한국어, 영어, 중국어, 일본어 등)",
    "multilingual-e5-small": "100개 안팎 (한국어, 영어, 중국어, 일본어 등)",
    "lexical": "없음 (뜻이 아니라 글자만 비교하는 대역)",
}
TEXTS = [
    (
        "Python의 GIL(Global Interpreter Lock)은 한 번에 한 스레드만 실행하게 하여 멀티스레딩을 "
        "제한합니다."
    ),
    "FastAPI는 비동기 프로그래밍을 지원하는 웹 프레임워크입니다.",
    "Docker는 애플리케이션을 컨테이너로 묶어 실행하는 기술입니다.",
]
QUERY = "파이썬 멀티스레딩 제약사항"


def main(arguments: Sequence[str]) -> int:
    """Run the check with the model that ``arguments`` name, or with that of the
    settings.
    """
    settings = load()
    logs.configure(settings.log)
    print("🚀 임베딩 모델 사용 가이드\n" + "=" * 60)
    try:
        name = arguments[0] if arguments else settings.model.name
        model = _load(named(settings.model, name))
        _use(model)
        _search(model)
    except VectrueError as error:
        print(f"❌ {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _load(settings: ModelSettings) -> EmbeddingModel:
    print(f"🔄 {settings.name} 모델 로딩 중...")
    clock = SystemClock()
    started = clock.monotonic()
    model = get_embedding_model(settings)
    print(f"✅ 모델 로드 완료! ({clock.monotonic() - started:.2f}초)")
    print(f"📦 모델: {settings.name}")
    print(f"📊 임베딩 차원: {model.dimensions}")
    print(f"🌍 지원 언어: {LANGUAGES.get(settings.name, '-')}")
    return model


def _use(model: EmbeddingModel) -> None:
    _title("📝 기본 사용법")
    embeddings = model.encode(TEXTS)
    bisect.check(embeddings, len(TEXTS), model.dimensions)
    print(f"✅ {len(TEXTS)}개 텍스트 임베딩 완료")
    print(f"   임베딩 shape: {embeddings.shape}")


def _search(model: EmbeddingModel) -> None:
    _title("🔍 벡터 검색 예시")
    query = model.encode_query(QUERY)
    bisect.check(query[None], 1, model.dimensions)
    print(f"🔎 검색 쿼리: '{QUERY}'")
    # The vectors have unit length, so their dot product is the cosine.
    similarities = model.encode(TEXTS) @ query
    for rank, index in enumerate(similarities.argsort()[::-1], start=1):
        print(f"\n{rank}. 유사도: {similarities[index]:.4f}\n   내용: {TEXTS[index]}")


def _title(text: str) -> None:
    print(f"\n{'=' * 60}\n{text}\n{'=' * 60}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
