//! One compiled policy. Rego is compiled to a program for a small register machine, four times quicker
//! than interpreting it; evaluation is bounded in instructions and in time.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use parking_lot::Mutex;
use regorus::Value;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::program::Program;
use regorus::rvm::vm::RegoVM;
use regorus::utils::limits::ExecutionTimerConfig;

use super::decision::{Decision, PolicyId};
use super::facts::Facts;
use super::lint;

/// What is asked of every policy.
const ENTRY_POINT: &str = "data.countersign.issue.result";

/// The longest policy text, in bytes.
const MAX_TEXT_BYTES: usize = 256 * 1024;

/// Some hundred times what the shipped policy needs.
const MAX_INSTRUCTIONS: usize = 500_000;

/// A decision that takes longer is no decision. The instruction limit comes first on any healthy machine.
const TIME_LIMIT: Duration = Duration::from_millis(250);

/// Why a policy was not loaded. Nothing was replaced.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not valid Rego, or valid and unsafe (an undefined variable, an unknown function).
    #[error("{name}:{line}: the policy does not compile: {reason}")]
    Compile {
        /// The file or proposal.
        name: String,
        /// From 1; 0 when the compiler did not say.
        line: usize,
        /// The compiler's words.
        reason: String,
    },
    /// It compiles, but asks for what it may not have.
    #[error("{name}:{line}: {reason}")]
    Forbidden {
        /// The file or proposal.
        name: String,
        /// From 1.
        line: usize,
        /// What, and what would be accepted.
        reason: String,
    },
    /// Longer than any policy should be.
    #[error("{name}: the policy is {bytes} bytes long; at most {MAX_TEXT_BYTES} are accepted")]
    TooLong {
        /// The file or proposal.
        name: String,
        /// Its size.
        bytes: usize,
    },
    /// It compiles, but its answer to an ordinary request cannot be used.
    #[error(
        "{name}: asked about an ordinary {kind} in {environment}, the policy gave no usable answer: {reason}"
    )]
    Unusable {
        /// The file or proposal.
        name: String,
        /// The kind that was tried.
        kind: String,
        /// The environment that was tried.
        environment: String,
        /// What is wrong with the answer.
        reason: String,
    },
}

/// A policy that compiled and answered ordinary requests properly. Cheap to share by `Arc`.
pub struct Policy {
    id: PolicyId,
    text: Arc<str>,
    program: Arc<Program>,
    /// The machine is kept between decisions, because making one costs more than a decision.
    machine: Mutex<RegoVM>,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Policy {
    /// Compiles `text`, called `name` in messages, and tries it.
    ///
    /// # Errors
    /// [`PolicyError`], with the line where there is one.
    pub fn load(version: u32, name: &str, text: &str) -> Result<Self, PolicyError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(PolicyError::TooLong {
                name: name.to_owned(),
                bytes: text.len(),
            });
        }
        let program = compile(name, text)?;
        if let Some((line, reason)) = lint::check(text, &Facts::paths()) {
            return Err(PolicyError::Forbidden {
                name: name.to_owned(),
                line,
                reason,
            });
        }
        let policy = Self {
            id: PolicyId {
                version,
                digest: hex_sha256(text.as_bytes()),
            },
            text: text.into(),
            machine: Mutex::new(new_machine(&program)),
            program,
        };
        for environment in ["development", "staging", "production"] {
            for kind in ["api_key", "jwt", "database_role", "vault_lease"] {
                policy
                    .try_decide(&Facts::probe(kind, environment))
                    .map_err(|reason| PolicyError::Unusable {
                        name: name.to_owned(),
                        kind: kind.to_owned(),
                        environment: environment.to_owned(),
                        reason,
                    })?;
            }
        }
        Ok(policy)
    }

    /// The decision on these facts. Total: whatever goes wrong is a denial by `policy.undefined`.
    pub fn decide(&self, facts: &Facts) -> Decision {
        self.try_decide(facts)
            .unwrap_or_else(|reason| Decision::undefined(&reason, self.id.clone()))
    }

    /// Which policy this is.
    pub fn id(&self) -> &PolicyId {
        &self.id
    }

    /// The Rego text.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    fn try_decide(&self, facts: &Facts) -> Result<Decision, String> {
        let input = serde_json::to_value(facts).map_err(|error| error.to_string())?;
        let mut machine = self.machine.lock();
        machine.set_input(Value::from(input));
        let answer = match machine.execute_entry_point_by_name(ENTRY_POINT) {
            Ok(answer) => answer,
            Err(error) => {
                // A machine that stopped half-way is not asked again.
                *machine = new_machine(&self.program);
                return Err(first_line(&error.to_string()).to_owned());
            }
        };
        drop(machine);
        if answer == Value::Undefined {
            return Err(format!("{ENTRY_POINT} is undefined"));
        }
        let json = serde_json::to_string(&answer).map_err(|error| error.to_string())?;
        Decision::parse(&json, self.id.clone())
    }
}

fn compile(name: &str, text: &str) -> Result<Arc<Program>, PolicyError> {
    let failed = |error: &dyn std::fmt::Display| {
        let message = error.to_string();
        PolicyError::Compile {
            name: name.to_owned(),
            line: line_of(&message),
            reason: compiler_reason(&message),
        }
    };
    let mut engine = regorus::Engine::new();
    engine.set_strict_builtin_errors(true);
    engine
        .add_policy(name.to_owned(), text.to_owned())
        .map_err(|error| failed(&error))?;
    let compiled = engine
        .compile_with_entrypoint(&ENTRY_POINT.into())
        .map_err(|error| failed(&error))?;
    Compiler::compile_from_policy(&compiled, &[ENTRY_POINT]).map_err(|error| failed(&error))
}

fn new_machine(program: &Arc<Program>) -> RegoVM {
    let mut machine = RegoVM::new();
    machine.load_program(program.clone());
    machine.set_strict_builtin_errors(true);
    machine.set_max_instructions(MAX_INSTRUCTIONS);
    machine.set_execution_timer_config(Some(ExecutionTimerConfig {
        limit: TIME_LIMIT,
        check_interval: NonZeroU32::new(512).expect("512 is not zero"),
    }));
    machine
}

/// The line in a compiler message such as `--> issue.rego:3:12`; 0 when it names none.
fn line_of(message: &str) -> usize {
    message
        .lines()
        .find_map(|line| {
            let mut parts = line.trim().strip_prefix("--> ")?.rsplit(':');
            let _column = parts.next()?;
            parts.next()?.parse().ok()
        })
        .unwrap_or(0)
}

/// The sentence in a compiler message, without its drawing of the source.
fn compiler_reason(message: &str) -> String {
    message
        .lines()
        .find_map(|line| line.trim().strip_prefix("error: "))
        .unwrap_or_else(|| first_line(message))
        .to_owned()
}

fn first_line(message: &str) -> &str {
    message
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("no reason given")
}

fn hex_sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    digest::digest(&digest::SHA256, bytes).as_ref().iter().fold(
        String::with_capacity(64),
        |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
            hex
        },
    )
}
