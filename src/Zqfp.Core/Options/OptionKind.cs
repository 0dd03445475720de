namespace Zqfp;

/// <summary>What the value of an option is.</summary>
internal enum OptionKind
{
    /// <summary>Nothing: the option is given or not. In metadata, true or false.</summary>
    Flag,

    /// <summary>Any text; its spaces and ends of line count.</summary>
    Text,

    /// <summary>A text without spaces around it.</summary>
    Name,

    /// <summary>The path of a file that is read. A build hashes its content; in a recipe it starts at the recipe's folder.</summary>
    Input,

    /// <summary>A path that is written to, or a folder.</summary>
    Place,

    /// <summary>A whole number, not below the minimum.</summary>
    Whole,

    /// <summary>A number from 0 to 1.</summary>
    Fraction,

    /// <summary>A positive number.</summary>
    Positive,

    /// <summary>A percentage. The sign is required: 0.05 could mean either.</summary>
    Percentage,

    /// <summary>An amount of bytes, see <see cref="ByteSize"/>.</summary>
    Size,

    /// <summary>One of several equal shares of the work, see <see cref="ShardText"/>.</summary>
    Shard,

    /// <summary>One of a few words.</summary>
    Choice,

    /// <summary>One or more of a few words, separated by commas or repeated.</summary>
    ChoiceList,

    /// <summary>Texts; the option is repeated for each. In metadata they are separated by semicolons.</summary>
    List,

    /// <summary>As <see cref="List"/>, each a <see cref="NamedTask"/>. A build hashes the files.</summary>
    Tasks,

    /// <summary>As <see cref="List"/>, each a <see cref="OverrideText"/> of the words given.</summary>
    Overrides,
}
