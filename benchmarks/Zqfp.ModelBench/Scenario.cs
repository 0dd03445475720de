using System.Globalization;

namespace Zqfp.ModelBench;

/// <summary>What is computed in a run.</summary>
/// <param name="Batch">Sequences.</param>
/// <param name="Length">New tokens of each.</param>
/// <param name="Past">Tokens that are in the cache.</param>
/// <param name="Positions">Room of the cache.</param>
internal sealed record Scenario(int Batch, int Length, int Past, int Positions)
{
    public string Name => Length == 1
        ? string.Create(CultureInfo.InvariantCulture, $"decode, batch {Batch}, {Past} in the cache")
        : string.Create(CultureInfo.InvariantCulture, $"prompt of {Length}");
}
