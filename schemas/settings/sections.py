"""Every section of the settings, in one place to import from."""

from schemas.settings.services import ConnectSettings, KafkaSettings, PostgresSettings
from schemas.settings.serving import (
    GradeSettings,
    QualitySettings,
    ScoreSettings,
    ServeSettings,
)
from schemas.settings.vectors import (
    LOW_MEMORY_TEXTS,
    LOW_MEMORY_TOKENS,
    ModelSettings,
    TableSettings,
)
from schemas.settings.workers import (
    CanarySettings,
    DeadLetterSettings,
    KeeperSettings,
    LiveSettings,
    LogSettings,
    MetricsSettings,
    ReplaySettings,
    WatchdogSettings,
)

__all__ = [
    "LOW_MEMORY_TEXTS",
    "LOW_MEMORY_TOKENS",
    "CanarySettings",
    "ConnectSettings",
    "DeadLetterSettings",
    "GradeSettings",
    "KafkaSettings",
    "KeeperSettings",
    "LiveSettings",
    "LogSettings",
    "MetricsSettings",
    "ModelSettings",
    "PostgresSettings",
    "QualitySettings",
    "ReplaySettings",
    "ScoreSettings",
    "ServeSettings",
    "TableSettings",
    "WatchdogSettings",
]
