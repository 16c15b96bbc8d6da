//! What must hold for a command to take effect.

use crate::command::{Precondition, Refusal};
use crate::ids::Sequence;
use crate::mutant::Mutant;
use crate::timer::{InFlight, Timer};

impl Precondition {
    /// Why the command is refused, if what is asked about existence, version or generation does not hold.
    ///
    /// `record` is what is stored; `timer` is it too, unless the command takes a cancelled one for none.
    pub(super) fn fault(&self, record: Option<&Timer>, timer: Option<&Timer>) -> Option<Refusal> {
        let version = record.map(|record| record.version);
        let holds = self.holds(version, record.map(|record| record.generation), timer.is_some());
        (!holds).then_some(Refusal::VersionMismatch(version))
    }

    /// Whether what is asked holds of something of this version and generation, which is there or is not.
    pub(super) fn holds(
        &self,
        version: Option<Sequence>,
        generation: Option<Sequence>,
        exists: bool,
    ) -> bool {
        let version_fits = Mutant::ConditionIgnoresVersion.is_on()
            || self.versions.is_empty()
            || version.is_some_and(|version| self.versions.contains(&version));
        let generation_fits = self.generation.is_none_or(|asked| generation == Some(asked));
        let existence_fits = if exists { !self.absent } else { !self.present };
        version_fits && generation_fits && existence_fits
    }

    /// Why the command is refused, if nothing was to be on its way but something is.
    pub(super) fn flight_fault(&self, in_flight: InFlight) -> Option<Refusal> {
        (self.nothing_in_flight && in_flight != InFlight::No).then_some(Refusal::AttemptInFlight(in_flight))
    }
}
