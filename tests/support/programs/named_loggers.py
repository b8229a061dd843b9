"""Named loggers: create, use, inspect and close them."""

from concurrent_log.loggers import LoggerManager, get_logger

log = get_logger("myapp")

log.info("애플리케이션 시작")
log.warning("경고 메시지")
log.error("에러 발생")

try:
    result = 1 / 0
except Exception:
    log.exception("예외 발생!")

log1 = get_logger("module1", log_dir="logs/module1")
log2 = get_logger("module2", log_dir="logs/module2")

log1.info("모듈1 로그")
log2.info("모듈2 로그")

if LoggerManager.has_logger("myapp"):
    print("로거가 이미 등록되어 있습니다")

stats = LoggerManager.get_logger_stats()
for name, stat in stats.items():
    print(f"{name}: {stat}")

LoggerManager.unregister_logger("module2")

LoggerManager.shutdown_all_loggers()
