//! Every opcode of the conversation, in one enum with explicit numbers, none of which is ever used again for
//! something else. The numbers 10 to 60 keep the meaning of the laboratory protocol that this one grew from.

macro_rules! opcodes {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal,)+) => {
        /// What a frame is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Opcode {
            $($(#[doc = $doc])+ $name = $number,)+
        }

        impl Opcode {
            /// All opcodes, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The opcode of a number, if there is one.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

opcodes! {
    /// HELLO, client to gateway, clear: opens a full login.
    Hello = 1,
    /// HELLO_REPLY, gateway to client: the gateway's share in clear, its proof sealed.
    HelloReply = 2,
    /// RESUME, client to gateway, clear: opens a session with a token of an earlier one.
    Resume = 3,
    /// RESUME_REPLY, gateway to client, clear.
    ResumeReply = 4,
    /// PAIR_START, client to gateway, clear: the public part of a code and a PAKE message.
    PairStart = 5,
    /// PAIR_REPLY, gateway to client, clear: the gateway's PAKE message.
    PairReply = 6,
    /// PAIR_ENROL, client to gateway: confirmation and, sealed, the keys to enrol.
    PairEnrol = 7,
    /// PAIR_GRANT, gateway to client, sealed: the gateway's keys and the patient's id.
    PairGrant = 8,
    /// KEY_VERIFICATION, both ways: the client's proof, then the gateway's confirmation.
    KeyVerification = 10,
    /// KEY_UPDATE, both ways, record: the sender's next record is under its next key.
    KeyUpdate = 11,
    /// SESSION_TOKEN, gateway to client, record: lets the client resume.
    SessionToken = 20,
    /// GROUP_KEY, gateway to client, record: the wrapped key of a group epoch.
    GroupKey = 30,
    /// ENC_MSG, gateway to client: an alert sealed once under the group key.
    EncMsg = 40,
    /// DIRECT_MSG, gateway to client, record: a signed alert in the patient's own session.
    DirectMsg = 41,
    /// DEC_MSG, client to gateway, record: the receipt of an alert.
    DecMsg = 50,
    /// DISCONNECT, both ways, record: the end, with a reason.
    Disconnect = 60,
    /// VITALS, client to gateway, record: a batch of samples.
    Vitals = 70,
    /// VITALS_ACK, gateway to client, record: what is committed.
    VitalsAck = 71,
    /// DEVICE_STATUS, client to gateway, record: what a wearable tells about itself.
    DeviceStatus = 72,
    /// SETTINGS, gateway to client, record: how often a wearable shall measure and send.
    Settings = 73,
    /// WAVEFORM_REQUEST, gateway to client, record: a signal, and for how long.
    WaveformRequest = 74,
    /// WAVEFORM, client to gateway, record: samples of a signal, packed.
    Waveform = 75,
    /// FIRMWARE_OFFER, gateway to client, record: the header of an image.
    FirmwareOffer = 76,
    /// FIRMWARE_REQUEST, client to gateway, record: a piece of an image, please.
    FirmwareRequest = 77,
    /// FIRMWARE_CHUNK, gateway to client, record: a piece of an image.
    FirmwareChunk = 78,
    /// FIRMWARE_STATUS, client to gateway, record: how far an update has come.
    FirmwareStatus = 79,
    /// HEARTBEAT, both ways, record.
    Heartbeat = 80,
    /// ERROR, gateway to client, clear: why the conversation cannot go on.
    Error = 90,
}

#[cfg(test)]
mod tests {
    use super::Opcode;

    #[test]
    fn numbers_are_pinned() {
        let pinned = [
            1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 20, 30, 40, 41, 50, 60, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79,
            80, 90,
        ]
        .map(Opcode::from_number);
        assert_eq!(pinned.map(Option::unwrap).as_slice(), Opcode::ALL);
        let known = (0..=u8::MAX).filter(|n| Opcode::from_number(*n).is_some()).count();
        assert_eq!(known, Opcode::ALL.len());
    }
}
