"""What the package raises, and what for.

Error
├── ConfigError             a configuration that can't be used (config.errors)
├── StoreError              the state can't be read or written (records.store)
│   └── FencedError         another scheduler leads (records.zookeeper_store)
├── RefusedError            an operator's request is not carried out (control.operations)
│   ├── NotFoundError       there is no such service or instance
│   ├── UnavailableError    nothing can be done at the moment
│   ├── NotLeadingError     another scheduler has to be asked
│   └── ChangedError        somebody or something was faster
├── Undecided               it is not clear whose a framework is (control.recovery)
├── ConnectionEnded         a connection to Mesos is over (driver.connection)
├── SubscriptionForbidden   we must not subscribe any more (driver.connection)
├── CallFailed              a call was refused or got no answer (driver.pipeline)
├── RecordError             what should be records is not (driver.recordio)
├── ResponseError           what should be HTTP is not (driver.http_response)
├── OperatorApiError        the master's operator API does not say what was asked (driver.operator_api)
├── CertificateError        what the web server is to show can't be used (web.certificate)
├── SessionError            a command in an instance does not do what was asked for (exec_sessions)
├── SandboxError            what an instance has written can't be had (sandbox)
└── ExitError               ends the process with a message and an exit status (exits)
├── SchedulerError      ... the scheduler (exits)
└── NoAnswerError       ... a command that asks a scheduler (cli.api)
"""

from __future__ import annotations


class Error(Exception):
    """The base of them all."""
