//! What a timer's group allows.

use alloc::string::ToString;

use crate::command::Refusal;
use crate::group::GroupSettings;
use crate::ids::TimerKey;
use crate::tables::{Overlay, Tables};
use crate::time::Millis;

/// Why the group of `key` does not take what a command makes of the timer: a pending one, where it may have been pending
/// before, that is due at `execute_at` if that is new.
pub(super) fn fault<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    key: &TimerKey,
    was_pending: bool,
    execute_at: Option<Millis>,
    now: Millis,
) -> Result<Option<Refusal>, T::Error> {
    let Some(terms) = overlay.group_terms(&key.group)? else { return Ok(Some(Refusal::GroupNotFound)) };
    if let Some(refusal) = execute_at.and_then(|at| horizon_fault(&terms.settings, at, now)) {
        return Ok(Some(refusal));
    }
    if was_pending {
        return Ok(None);
    }
    if !terms.open {
        return Ok(Some(Refusal::GroupClosed));
    }
    let pending = overlay.group_counts(&key.group)?.pending();
    let full = terms.settings.pending_max_of_shard().is_some_and(|most| pending >= most);
    Ok(full.then_some(Refusal::QuotaExceeded))
}

/// Why a timer can't be due at `at`.
pub(super) fn horizon_fault(settings: &GroupSettings, at: Millis, now: Millis) -> Option<Refusal> {
    let most = settings.horizon_max;
    (at > now + most).then(|| Refusal::OutOfRange { field: "executeAt".to_string(), most })
}

/// What holds for the timers of a group that are there: as it says, or as usual where it is not known.
pub(super) fn settings<T: Tables>(
    overlay: &mut Overlay<'_, T>,
    key: &TimerKey,
) -> Result<GroupSettings, T::Error> {
    Ok(overlay.group_terms(&key.group)?.map_or_else(GroupSettings::default, |terms| terms.settings))
}

/// Whether the group of `key` is paused.
pub(super) fn is_paused<T: Tables>(overlay: &mut Overlay<'_, T>, key: &TimerKey) -> Result<bool, T::Error> {
    Ok(overlay.group_terms(&key.group)?.is_some_and(|terms| terms.paused))
}
