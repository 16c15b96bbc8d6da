//! What is wrong with bytes that can't be read, with the message and the field: whoever finds them on a disk
//! must know where to look.

/// Why bytes are not an entry or a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They are not Protobuf, or a field has another wire type.
    #[error("{message}: {fault}")]
    Wire {
        /// The outermost message.
        message: &'static str,
        /// What prost found.
        fault: prost::DecodeError,
    },
    /// A field is absent that must be there. For a `oneof` this is also how a kind looks that only a newer
    /// version knows.
    #[error("{message}.{field} is missing, or of a kind that this version does not know")]
    Missing {
        /// The message.
        message: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A number of an enum that this version does not know.
    #[error("{message}.{field} is {value}, which this version does not know")]
    Unknown {
        /// The message.
        message: &'static str,
        /// The field.
        field: &'static str,
        /// What stands there.
        value: i32,
    },
    /// Bytes of another number than there must be. They are not shown.
    #[error("{message}.{field} has {length} bytes, {expected} are right")]
    Length {
        /// The message.
        message: &'static str,
        /// The field.
        field: &'static str,
        /// How many there are.
        length: usize,
        /// How many there must be.
        expected: usize,
    },
    /// A number beyond its bounds.
    #[error("{message}.{field} is {value}, at most {max} is right")]
    OutOfRange {
        /// The message.
        message: &'static str,
        /// The field.
        field: &'static str,
        /// What stands there.
        value: u64,
        /// What may stand there.
        max: u64,
    },
}

/// `value`, which must be there.
pub(crate) fn required<T>(
    value: Option<T>,
    message: &'static str,
    field: &'static str,
) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::Missing { message, field })
}

/// `value` as the 16 bits that it must fit in.
pub(crate) fn narrow(value: u32, message: &'static str, field: &'static str) -> Result<u16, DecodeError> {
    let max = u64::from(u16::MAX);
    u16::try_from(value).map_err(|_| DecodeError::OutOfRange { message, field, value: value.into(), max })
}
