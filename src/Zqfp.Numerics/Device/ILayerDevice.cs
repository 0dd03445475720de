namespace Zqfp.Numerics;

/// <summary>
/// A device that takes the costly steps of quantizing from the processor. Each of them sums in the processor's order, so that the same
/// input gives the same codes, scales and factors; only losses, which are sums in double, may differ in their last digits.
/// </summary>
internal interface ILayerDevice
{
    /// <summary>Begins sums over tokens.</summary>
    /// <param name="columns">Values of a token x.</param>
    /// <param name="beside">Number of values in each of the t.</param>
    IGramSums Gram(int columns, int[] beside);

    /// <summary>Begins a layer.</summary>
    /// <param name="hessian">Its H, not changed until the steps are disposed; null for none.</param>
    /// <param name="workers">Who does what stays on the processor.</param>
    ILayerSteps Open(Hessian? hessian, Workers workers);

    /// <summary>Whether the device quantizes layers by this recipe; where not, the processor does.</summary>
    bool Serves(QuantizationOptions options);
}

/// <summary>Sums over tokens while they grow: x x^T and t x^T.</summary>
internal interface IGramSums : IDisposable
{
    /// <summary>Adds a block.</summary>
    /// <param name="tokens">x; may be written to again when the call returns.</param>
    /// <param name="beside">Each of the t.</param>
    /// <param name="count">Tokens of the block that count.</param>
    void Add(TokenTiles tokens, TokenTiles[] beside, int count);

    /// <summary>Writes the lower triangle of the sum of x x^T.</summary>
    void CopyTo(Hessian target);

    /// <summary>Writes the sum of t x^T.</summary>
    void CopyTo(int beside, CrossMoment target);
}

/// <summary>The steps of one layer.</summary>
internal interface ILayerSteps : IDisposable
{
    /// <summary>Factors H + damping, or returns null when that is not positive definite.</summary>
    /// <param name="order">Column taken at each step, or null for the natural order.</param>
    /// <param name="dead">Columns whose diagonal counts as 1.</param>
    /// <param name="damping">Added to the diagonal.</param>
    IHessianFactor? TryFactor(int[]? order, bool[] dead, double damping);

    /// <summary>What a quantization leaves of the weights.</summary>
    /// <param name="weights">W, row-major.</param>
    /// <param name="quantized">Q.</param>
    /// <param name="lowRank">A correction, or null.</param>
    IErrorProducts Errors(ReadOnlyMemory<float> weights, QuantizedMatrix quantized, LowRankFactors? lowRank);
}

/// <summary>H + damping = (I + U) D (I + U)^T.</summary>
internal interface IHessianFactor : IDisposable
{
    /// <summary>D: the cost of an error in each column, in the order of the factorization; at least K of them.</summary>
    double[] Pivots { get; }

    /// <summary>GPTQ over all columns.</summary>
    /// <param name="weights">The weights to round.</param>
    /// <param name="damped">What the factor belongs to.</param>
    /// <param name="scales">Scales; fixed beforehand, and fitted to the codes where the recipe says so.</param>
    /// <param name="options">The recipe.</param>
    /// <param name="loss">Receives tr(E H E^T) with the undamped Hessian.</param>
    /// <returns>Packed codes.</returns>
    byte[] Sweep(WeightSource weights, DampedHessian damped, ScaleTable scales, QuantizationOptions options, out double loss);
}

/// <summary>
/// Products with an error matrix E [Rows, Columns]. Matrices have zeros behind their last row and width columns, a multiple of 32.
/// </summary>
internal interface IErrorProducts : IDisposable
{
    /// <summary>N.</summary>
    int Rows { get; }

    /// <summary>K.</summary>
    int Columns { get; }

    /// <summary>N with the zeros that follow.</summary>
    int PaddedRows { get; }

    /// <summary>K with the zeros that follow.</summary>
    int PaddedColumns { get; }

    /// <summary>tr(E H E^T), or ||E||^2 without a Hessian.</summary>
    /// <param name="isWeighted">Whether with the layer's Hessian.</param>
    double Loss(bool isWeighted);

    /// <summary>E Z for a Z [PaddedColumns, width]; the result is [PaddedRows, width].</summary>
    AlignedBuffer Multiply(AlignedBuffer right, int width);

    /// <summary>E^T E Z for a Z [PaddedColumns, width].</summary>
    AlignedBuffer MultiplyTwice(AlignedBuffer right, int width);

    /// <summary>E^T Y for a Y [PaddedRows, width]; the result is [PaddedColumns, width].</summary>
    AlignedBuffer MultiplyTransposed(AlignedBuffer right, int width);

    /// <summary>H X for an X [PaddedColumns, width].</summary>
    AlignedBuffer MultiplyHessian(AlignedBuffer right, int width);
}
