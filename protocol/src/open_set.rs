//! Sets of numbers that may grow: an unknown number is carried and shown as a number, never refused.

/// A type of numbers some of which have names: `open_set! { Type, "word": CONSTANT = 0, "name"; .. }`. A number without
/// a name displays as `word 200`.
macro_rules! open_set {
    ($(#[$doc:meta])* $set:ident, $word:literal: $($(#[$about:meta])* $constant:ident = $number:literal, $name:literal;)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub struct $set(pub u8);

        impl $set {
            $($(#[$about])* pub const $constant: Self = Self($number);)+

            /// All that have a name here.
            pub const ALL: &[Self] = &[$(Self::$constant),+];
        }

        impl core::fmt::Display for $set {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match *self {
                    $(Self::$constant => f.pad($name),)+
                    Self(number) => write!(f, concat!($word, " {}"), number),
                }
            }
        }
    };
}

pub(crate) use open_set;
