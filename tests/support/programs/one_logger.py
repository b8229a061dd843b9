"""One logger for the application: first the console, then files; its state and its settings at run time."""

from concurrent_log.loggers import ConsoleLogger, FileLogger, Logger, LogLevel

if Logger.is_active():
    Logger.info("로거가 정상 동작 중")
else:
    print("로거가 초기화되지 않음")

console_logger = ConsoleLogger(log_level=LogLevel.DEBUG)
Logger.init(console_logger)

Logger.info("서버 시작됨")
Logger.debug("디버그 정보")
Logger.error("오류 발생")

file_logger = FileLogger(
    log_level=LogLevel.INFO,
    use_console=True,
    prefix="base_web_server",
    folder="logs",
    timezone="KST",
    max_file_size_kb=10240,
)
Logger.init(file_logger)

Logger.info("운영 로그 기록")
Logger.warn("경고 메시지")
Logger.error("오류 로그")

if Logger.is_active():
    Logger.info("로거가 정상 동작 중")

Logger.set_level(LogLevel.DEBUG)
Logger.debug("보임")
Logger.set_level(LogLevel.INFO)
Logger.debug("안 보임")

file_logger = FileLogger(prefix="test", folder="logs")
print(f"현재 로그 파일: {file_logger._log_file_path}")
print(f"로그 디렉토리: {file_logger._folder}")
print(f"최대 파일 크기: {file_logger._max_file_size_bytes} bytes")

file_logger._check_and_rotate_file()

new_path = file_logger._make_log_file_path()
print(f"새 로그 파일: {new_path}")
