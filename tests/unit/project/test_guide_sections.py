"""docs/guide.md and docs/guide-search.md have every section of the Korean guide, by its
name.
"""

import re

import pytest

from tests.support.console import programs, session
from tests.support.root import ROOT

PAGES = {
    name: (ROOT / "docs" / name).read_text(encoding="utf-8")
    for name in ("guide.md", "guide-search.md")
}
GUIDE = "\n".join(PAGES.values())
_TABLE = [line.split("|")[1] for line in GUIDE.splitlines() if line.startswith("|")]
_HEADINGS = [
    ("" if name == "guide.md" else name, heading)
    for name, page in PAGES.items()
    for heading in re.findall(
        r"^#{2,3} (.+)$",
        re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE),
        re.MULTILINE,
    )
]
"""Every heading of the guide, with its page as a link of guide.md names it."""

SECTIONS = (
    "BGE-M3란?",
    "주요 특징",
    "설치 방법",
    "모델 다운로드",
    "자동 다운로드",
    "수동 다운로드",
    "다운로드 위치",
    "기본 사용법",
    "간단한 임베딩 생성",
    "유사도 검색",
    "배치 처리",
    "기존 프로젝트에 적용하기",
    "vector_utils.py 수정",
    "데이터베이스 스키마 변경 필요",
    "마이그레이션 스크립트",
    "성능 비교",
    "벤치마크 결과 (MTEB)",
    "실전 예시",
    "면접 질문 검색 시스템",
    "답변 평가 시스템",
    "실행 방법",
    "테스트 스크립트 실행",
    "예상 출력",
    "주의사항",
    "메모리 사용량",
    "데이터베이스 마이그레이션",
    "처리 속도",
    "문제 해결",
    "다운로드 실패",
    "메모리 부족",
    "차원 불일치 오류",
    "추가 자료",
    "체크리스트",
    "다음 단계",
)
"""The headings of the Korean guide, in its order, without its pictures and numbers."""


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it: letters, digits, `-` and `_` stay, a
    space becomes `-`.
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_is_found_by_its_korean_name(name: str) -> None:
    """It stands in the first column of the table on top."""
    assert any(name in cell for cell in _TABLE)


def test_the_sections_stand_in_the_order_of_the_guide() -> None:
    """Someone who reads both side by side continues at the same place."""
    text = "".join(_TABLE)
    places = [text.index(name) for name in SECTIONS]
    assert places == sorted(places)


def test_links_within_the_guide_lead_to_its_headings() -> None:
    """Each link of the table is the anchor of a heading, and each heading with a Korean
    name is linked.
    """
    links = set(re.findall(r"\]\(([\w.-]*#[^)]+)\)", PAGES["guide.md"]))
    assert links == {
        f"{page}#{slug(heading)}" for page, heading in _HEADINGS if re.search("[가-힣]", heading)
    }


def test_programs_that_are_run_are_shown() -> None:
    """Every `python NAME.py` of the session is a block of the document, and no block is
    left unrun.
    """
    run = [
        match[1]
        for command, _ in session(GUIDE)
        if (match := re.fullmatch(r"python (\w+\.py)", command))
    ]
    assert sorted(run) == sorted(programs(GUIDE))
