using System.Globalization;

namespace Zqfp.Reliability.Tests;

/// <summary>
/// How much is tried. CI tries a little with the same seed each time; <c>ZQFP_RELIABILITY=N</c> tries N times as much, and
/// <c>ZQFP_SEED</c> chooses other trials. What fails names its trial.
/// </summary>
internal static class Effort
{
    /// <summary>The number of trials of a kind.</summary>
    /// <param name="inCi">How many of them CI makes.</param>
    public static int Trials(int inCi) => inCi * Number("ZQFP_RELIABILITY", 1);

    /// <summary>The seed of a trial.</summary>
    public static int Seed(int trial) => HashCode(Number("ZQFP_SEED", 1), trial);

    /// <summary>How long a soak takes: <c>ZQFP_SOAK</c> minutes, or some seconds in CI.</summary>
    public static TimeSpan Soak(int seconds) =>
        Number("ZQFP_SOAK", 0) is > 0 and var minutes ? TimeSpan.FromMinutes(minutes) : TimeSpan.FromSeconds(seconds);

    /// <summary>Writes a figure where a long run was asked for.</summary>
    public static void Report(string figure)
    {
        TestContext.Current.SendDiagnosticMessage(figure);
        if (Environment.GetEnvironmentVariable("ZQFP_RELIABILITY_LOG") is { Length: > 0 } file)
        {
            File.AppendAllText(file, figure + "\n");
        }
    }

    private static int HashCode(int seed, int trial) => unchecked((seed * 7919) + trial);

    private static int Number(string variable, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number
            : otherwise;
}
