//! One compiled policy. Rego is compiled to a program for a small register machine, four times quicker
//! than interpreting it; evaluation is bounded in instructions and in time.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use regorus::Value;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::program::Program;
use regorus::rvm::vm::{RegoVM, VmError};
use regorus::utils::limits::ExecutionTimerConfig;

use super::bundle::Bundle;
use super::cases::Coverage;
use super::decision::{Decision, PolicyId};
use super::error::PolicyError;
use super::input::input;
use super::lint;
use crate::domain::Facts;

/// What is asked of every policy.
const ENTRY_POINT: &str = "data.countersign.issue.result";

/// Some hundred times what the shipped policy needs.
const MAX_INSTRUCTIONS: usize = 500_000;

/// A decision that takes longer is looked at again. The instruction limit comes first on any healthy machine.
const TIME_LIMIT: Duration = Duration::from_millis(250);

/// The clock goes on while a machine is starved or suspended, and that is no fault of a policy: the second time a
/// decision may take so long.
const PATIENT_LIMIT: Duration = Duration::from_secs(5);

/// A policy that compiled and answered ordinary requests properly. Cheap to share by `Arc`.
pub struct Policy {
    id: PolicyId,
    bundle: Arc<Bundle>,
    data: Value,
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
    /// Compiles the files and tries the rules on ordinary requests. Their cases are not run.
    ///
    /// # Errors
    /// [`PolicyError`], with file and line where there are any.
    pub fn load(version: u32, bundle: &Bundle) -> Result<Self, PolicyError> {
        let program = compile(bundle)?;
        let paths = paths();
        for (name, text) in bundle.modules() {
            if let Some((line, reason)) = lint::check(text, &paths) {
                return Err(PolicyError::Forbidden {
                    name: name.to_owned(),
                    line,
                    reason,
                });
            }
        }
        let data = Value::from(bundle.data().clone());
        let policy = Self {
            id: PolicyId {
                version,
                digest: bundle.digest(),
            },
            bundle: Arc::new(bundle.clone()),
            machine: Mutex::new(new_machine(&program, &data, TIME_LIMIT)?),
            data,
            program,
        };
        for environment in ["development", "staging", "production"] {
            for kind in ["api_key", "jwt", "database_role", "vault_lease"] {
                policy
                    .try_decide(&Facts::ordinary(kind, environment))
                    .map_err(|reason| PolicyError::Unusable {
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

    /// Its files.
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    fn try_decide(&self, facts: &Facts) -> Result<Decision, String> {
        let input = input(facts);
        let fresh = |limit| {
            new_machine(&self.program, &self.data, limit).map_err(|error| error.to_string())
        };
        let mut machine = self.machine.lock();
        machine.set_input(input.clone());
        let mut answer = machine.execute_entry_point_by_name(ENTRY_POINT);
        if let Err(VmError::TimeLimitExceeded { .. }) = answer {
            *machine = fresh(PATIENT_LIMIT)?;
            machine.set_input(input);
            answer = machine.execute_entry_point_by_name(ENTRY_POINT);
            machine.set_execution_timer_config(Some(timer(TIME_LIMIT)));
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                // A machine that stopped half-way is not asked again.
                *machine = fresh(TIME_LIMIT)?;
                return Err(first_line(&error.to_string()).to_owned());
            }
        };
        drop(machine);
        if answer == Value::Undefined {
            return Err(format!("{ENTRY_POINT} is undefined"));
        }
        Decision::parse(&answer, self.id.clone())
    }
}

/// An engine that holds the rules and the data.
fn interpreter(bundle: &Bundle) -> Result<regorus::Engine, PolicyError> {
    let mut engine = regorus::Engine::new();
    engine.set_strict_builtin_errors(true);
    engine.set_execution_timer_config(timer(PATIENT_LIMIT));
    let data = Value::from(bundle.data().clone());
    engine.add_data(data).map_err(|error| failed(&error))?;
    for (name, text) in bundle.modules() {
        engine
            .add_policy(name.to_owned(), text.to_owned())
            .map_err(|error| failed(&error))?;
    }
    Ok(engine)
}

fn compile(bundle: &Bundle) -> Result<Arc<Program>, PolicyError> {
    let compiled = interpreter(bundle)?
        .compile_with_entrypoint(&ENTRY_POINT.into())
        .map_err(|error| failed(&error))?;
    Compiler::compile_from_policy(&compiled, &[ENTRY_POINT]).map_err(|error| failed(&error))
}

/// Which lines of the rules are gone through when `all` are decided.
pub(super) fn coverage<'a>(
    bundle: &Bundle,
    all: impl Iterator<Item = &'a Facts>,
) -> Result<Vec<Coverage>, PolicyError> {
    let mut engine = interpreter(bundle)?;
    engine.set_enable_coverage(true);
    for facts in all {
        engine.set_input(input(facts));
        // A decision that fails was reported as such; how far it came still counts.
        let _failed = engine.eval_rule(ENTRY_POINT.to_owned());
    }
    let report = engine
        .get_coverage_report()
        .map_err(|error| failed(&error))?;
    Ok(report
        .files
        .into_iter()
        .map(|file| Coverage {
            file: file.path,
            covered: file.covered.len(),
            lines: file.covered.len() + file.not_covered.len(),
            missing: file.not_covered.into_iter().collect(),
        })
        .collect())
}

fn failed(error: &dyn std::fmt::Display) -> PolicyError {
    let message = error.to_string();
    let (name, line) = place(&message);
    PolicyError::Compile {
        name,
        line,
        reason: compiler_reason(&message),
    }
}

fn timer(limit: Duration) -> ExecutionTimerConfig {
    ExecutionTimerConfig {
        limit,
        check_interval: NonZeroU32::new(512).expect("512 is not zero"),
    }
}

fn new_machine(
    program: &Arc<Program>,
    data: &Value,
    limit: Duration,
) -> Result<RegoVM, PolicyError> {
    let mut machine = RegoVM::new();
    machine.load_program(program.clone());
    machine
        .set_data(data.clone())
        .map_err(|error| failed(&error))?;
    machine.set_strict_builtin_errors(true);
    machine.set_max_instructions(MAX_INSTRUCTIONS);
    machine.set_execution_timer_config(Some(timer(limit)));
    Ok(machine)
}

/// Every path a policy may name, `request` and `request.kind` alike, drawn from the facts' own structure.
pub(super) fn paths() -> Vec<String> {
    let tree = serde_json::to_value(Facts::default()).expect("facts are plain data");
    let mut paths = Vec::new();
    for (section, fields) in tree.as_object().expect("facts are an object") {
        paths.push(section.clone());
        for field in fields.as_object().into_iter().flatten() {
            paths.push(format!("{section}.{}", field.0));
        }
    }
    paths
}

/// File and line in a compiler message such as `--> issue.rego:3:12`; `policy` and 0 when it names none.
fn place(message: &str) -> (String, usize) {
    message
        .lines()
        .find_map(|line| {
            let mut parts = line.trim().strip_prefix("--> ")?.rsplitn(3, ':');
            let _column = parts.next()?;
            let line = parts.next()?.parse().ok()?;
            Some((parts.next()?.to_owned(), line))
        })
        .unwrap_or_else(|| ("policy".to_owned(), 0))
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
