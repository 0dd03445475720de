using Zqfp.Numerics;

namespace Zqfp.Quantization;

/// <summary>Tokens that the layers of a stage read, to choose by.</summary>
internal interface ITokenSample
{
    /// <summary>Who computes.</summary>
    Workers Workers { get; }

    /// <summary>Windows that are held out, the first ones.</summary>
    int HeldWindows { get; }

    /// <summary>Whether it is known which tokens are held out.</summary>
    bool IsAligned { get; }

    /// <summary>Looks at some of the tokens, evenly spread over all windows.</summary>
    /// <param name="count">About how many; all where there are fewer.</param>
    /// <param name="look">Is given whole tokens, and whether they are held out.</param>
    void Sample(int count, Action<float[], bool> look);
}
