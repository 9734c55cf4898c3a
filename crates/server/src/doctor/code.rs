//! The codes of findings: one list, from which output, guide and tests are held.
//!
//! A file of its own without any neighbour, so that the tests of the real binary read the same list.

/// Makes the enum, its list and its texts of one table.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// What can be found. Stable, for monitoring.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

codes! {
    /// A setting that is allowed and not safe.
    Setting = "setting",
    /// The scheme of the public URL and what is spoken do not fit.
    PublicUrlScheme = "public_url_scheme",
    /// There is no data folder.
    DataFolderMissing = "data_folder_missing",
    /// Others reach what is in the data folder.
    DataFolderOpen = "data_folder_open",
    /// Another user owns the data folder.
    DataFolderOwner = "data_folder_owner",
    /// Little room is left.
    DiskSpace = "disk_space",
    /// SQLite on a file system whose locks do not hold.
    NetworkFileSystem = "network_file_system",
    /// Others can read the sealing key.
    SealingKeyOpen = "sealing_key_open",
    /// The sealing key is missing or another one.
    SealingKey = "sealing_key",
    /// There is no database.
    DatabaseMissing = "database_missing",
    /// The database does not answer.
    DatabaseUnreachable = "database_unreachable",
    /// The database is on another machine, and nothing guards the way to it.
    DatabaseInTheClear = "database_in_the_clear",
    /// The database answers, and a part of it cannot be read.
    DatabaseUnreadable = "database_unreadable",
    /// A newer Portcullis wrote it.
    SchemaNewer = "schema_newer",
    /// A migration is missing.
    SchemaPending = "schema_pending",
    /// A restore was broken off.
    RestoreUnfinished = "restore_unfinished",
    /// Not the database that was served from here last.
    DatabaseOlder = "database_older",
    /// The mark beside the database cannot be read.
    MarkUnreadable = "mark_unreadable",
    /// A leaver's token lives.
    TokenSurvived = "token_survived",
    /// A leaver's agent was not stopped.
    AgentSurvived = "agent_survived",
    /// A membership is active and ended.
    MembershipContradiction = "membership_contradiction",
    /// The newest event is later than this machine's clock.
    ClockBehind = "clock_behind",
    /// This machine's clock and PostgreSQL's are apart.
    ClockDiffers = "clock_differs",
    /// Events wait for their number.
    AuditUnsequenced = "audit_unsequenced",
    /// Receipts wait for their signature.
    ReceiptUnsigned = "receipt_unsigned",
    /// Memberships wait for being settled.
    SettleOverdue = "settle_overdue",
    /// A SCIM token ran out or soon does.
    ScimTokenExpiring = "scim_token_expiring",
    /// Somebody knows a SCIM token by which they could give themselves more than they have.
    ScimTokenOutgrown = "scim_token_outgrown",
    /// A certificate of a SAML connection ran out or soon does.
    SamlCertificateExpiring = "saml_certificate_expiring",
    /// A connection waits for an owner.
    ConnectionUnconfirmed = "connection_unconfirmed",
    /// People wait for their directory since a restore.
    DirectoryUnconfirmed = "directory_unconfirmed",
    /// The last owner of an organization left.
    LastOwnerLeft = "last_owner_left",
    /// A directory's brake holds something.
    HoldOpen = "hold_open",
    /// A directory's brake refuses what it says.
    AboveBrake = "above_brake",
    /// Calls of a directory are refused.
    CallsRefused = "calls_refused",
    /// A directory of Google Workspace is not read.
    DirectoryUnread = "directory_unread",
    /// The metadata of a SAML connection is not read.
    MetadataUnread = "metadata_unread",
    /// Messages that nobody takes are not dropped.
    OutboxBacklog = "outbox_backlog",
    /// There is an owner, and the root token lies in its file.
    RootTokenFile = "root_token_file",
    /// PostgreSQL may lose what it confirmed.
    PostgresDurability = "postgres_durability",
    /// A log is too long to be verified here.
    AuditNotVerified = "audit_not_verified",
    /// A log does not verify.
    AuditChain = "audit_chain",
}

/// What no test can bring about on every machine: judged from a measurement, which a test gives as data.
#[cfg(test)]
pub const MEASURED: &[Code] =
    &[Code::DataFolderOwner, Code::DiskSpace, Code::NetworkFileSystem, Code::ClockDiffers];
