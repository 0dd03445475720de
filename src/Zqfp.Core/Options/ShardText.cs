using System.Globalization;

namespace Zqfp;

/// <summary>A shard as people write it: <c>2/4</c> for the second of four, or <c>auto</c> for what a task's environment says.</summary>
internal sealed class ShardText
{
    /// <summary>The word that leaves number and count to the environment.</summary>
    public const string Automatic = "auto";

    private ShardText(int number, int count) => (Number, Count) = (number, count);

    /// <summary>From 1 on; 0 where the environment says it.</summary>
    public int Number { get; }

    /// <summary>How many shards there are; 0 where the environment says it.</summary>
    public int Count { get; }

    /// <summary>Whether the environment says it.</summary>
    public bool IsAutomatic => Count == 0;

    /// <summary>Reads a text; null where it is no shard.</summary>
    public static ShardText? Parse(string text)
    {
        string[] sides = text.Split('/');
        return text == Automatic ? new ShardText(0, 0)
            : sides.Length == 2 && IsWhole(sides[0], out int number) && IsWhole(sides[1], out int count) && number <= count
                ? new ShardText(number, count)
            : null;
    }

    private static bool IsWhole(string text, out int value) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value >= 1;
}
