using Microsoft.ML.OnnxRuntime;

namespace Zqfp.CudaOps.Tests;

/// <summary>What can be told of the CUDA provider's operators without the provider; <c>GpuBench check</c> runs them on a GPU.</summary>
public sealed class CudaProviderTests
{
    [Theory]
    [InlineData(OperatorNames.MatMulW4A8)]
    [InlineData(OperatorNames.MatMulW4A8Scaled)]
    [InlineData(OperatorNames.MatMulW8A8)]
    public void Leaves_the_processor_to_compute_where_a_session_has_no_CUDA_provider(string name)
    {
        Product product = new Product { Operator = name, M = 3, N = 40, K = 64, GroupSize = 32, Rank = 4, Bias = true }.Fill(1);
        var both = new OperatorDomain(LoadedOnnxRuntime.Find().Api, OperatorSets.CudaProvider(new DeviceSession(0, null)));
        Assert.Equal(Run(product, new SessionOptions().AddZqfpOperators()), Run(product, new SessionOptions().Add(both)));
    }

    [Fact]
    public void Registers_the_kernels_for_the_provider_with_their_constants_on_the_host()
    {
        var cuda = OperatorSets.CudaProvider(new DeviceSession(0, null))
            .Where(one => one.ExecutionProvider == "CUDAExecutionProvider").ToDictionary(one => one.Name);
        Assert.Equal(
            [
                OperatorNames.ActivateQuantizeTokens,
                .. new[]
                {
                    OperatorNames.MatMulW4A16, OperatorNames.MatMulW4A8, OperatorNames.MatMulW4A8Scaled, OperatorNames.MatMulW8A16,
                    OperatorNames.MatMulW8A8,
                }.Select(name => OperatorNames.ExpertPrefix + name),
                OperatorNames.GateQuantizeTokens, OperatorNames.MatMulW4A16,
                OperatorNames.MatMulW4A8, OperatorNames.MatMulW4A8Scaled, OperatorNames.MatMulW8A16, OperatorNames.MatMulW8A8,
                OperatorNames.NormQuantizeTokens, OperatorNames.QuantizeTokens,
            ],
            cuda.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(["Xq", "Sx", "Z"], cuda[OperatorNames.MatMulW4A8].Inputs.Where(input => !input.OnCpu).Select(input => input.Name));
        foreach (string name in
            (string[])[OperatorNames.QuantizeTokens, OperatorNames.NormQuantizeTokens, .. GateQuantizeTokensSignature.Names])
        {
            Assert.Equal(["A"], cuda[name].Inputs.Where(input => input.OnCpu).Select(input => input.Name));
        }
    }

    private static float[] Run(Product product, SessionOptions options)
    {
        using (options)
        using (var session = new InferenceSession(product.Model(), options))
        {
            return product.Run(session);
        }
    }
}
