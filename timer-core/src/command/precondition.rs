//! What must hold for a command to take effect.

use crate::command::{Precondition, Refusal};
use crate::mutant::Mutant;
use crate::timer::{InFlight, Timer};

impl Precondition {
    /// Why the command is refused, if what is asked about existence, version or generation does not hold.
    ///
    /// `record` is what is stored; `timer` is it too, unless the command takes a cancelled one for none.
    pub(super) fn fault(&self, record: Option<&Timer>, timer: Option<&Timer>) -> Option<Refusal> {
        let version_fits = Mutant::ConditionIgnoresVersion.is_on()
            || self.versions.is_empty()
            || record.is_some_and(|record| self.versions.contains(&record.version));
        let generation_fits =
            self.generation.is_none_or(|asked| record.is_some_and(|record| record.generation == asked));
        let existence_fits = if timer.is_some() { !self.absent } else { !self.present };
        let fits = version_fits && generation_fits && existence_fits;
        (!fits).then(|| Refusal::VersionMismatch(record.map(|record| record.version)))
    }

    /// Why the command is refused, if nothing was to be on its way but something is.
    pub(super) fn flight_fault(&self, in_flight: InFlight) -> Option<Refusal> {
        (self.nothing_in_flight && in_flight != InFlight::No).then_some(Refusal::AttemptInFlight(in_flight))
    }
}
